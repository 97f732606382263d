#!/usr/bin/env python3
"""Makes copies of core sources in which guards can be taken away at run time: mutate.py RACES.TOML SOURCE_ROOT OUTPUT_FOLDER.

Each edit of a mutation replaces one text, which must be in the file exactly once, so a mutation cannot outlive its guard unnoticed. The
copy holds both texts, and the number of the mutation in force (explore/mutation.h) chooses:

  form = "statement"   if (mutated) { new } else { old }
  form = "expression"  (mutated ? (new) : (old))
  form = "text"        new as it stands, where @MUTATED@ is the condition

Writes OUTPUT_FOLDER/<path of the file>, OUTPUT_FOLDER/mutations.cc and, with --list-sources, prints the .cc files concerned.
"""
import pathlib
import sys
import tomllib

PRELUDE = '#include "explore/mutation.h"\n'


def load(path):
    return tomllib.loads(pathlib.Path(path).read_text())


def condition(number):
    return f"(::quire::explore::active_mutation == {number})"


def replacement(edit, number):
    new, old = edit["new"], edit["old"]
    match edit.get("form", "statement"):
        case "statement":
            return f"if {condition(number)} {{\n{new}\n}} else {{\n{old}\n}}"
        case "expression":
            return f"({condition(number)} ? ({new}) : ({old}))"
        case "text":
            return new.replace("@MUTATED@", condition(number))
    raise SystemExit(f"unknown form of an edit: {edit}")


def mutate_file(path, text, edits):
    """edits: (mutation's name, number, edit); edits of the same expression are put around each other."""
    for name, number, edit in edits:
        old = edit["old"]
        if text.count(old) != 1:
            raise SystemExit(f"mutation {name}: {path} contains {text.count(old)} times:\n{old}")
    spans = {}
    for name, number, edit in edits:
        begin = text.index(edit["old"])
        spans.setdefault((begin, begin + len(edit["old"])), []).append((name, number, edit))
    ordered = sorted(spans)
    for one, two in zip(ordered, ordered[1:]):
        if two[0] < one[1]:
            raise SystemExit(f"mutations {spans[one][0][0]} and {spans[two][0][0]} overlap in {path}")
    for span in reversed(ordered):
        old = text[span[0]:span[1]]
        result = old
        for _, number, edit in spans[span]:
            result = replacement({**edit, "old": result}, number)
        text = text[: span[0]] + result + text[span[1]:]
    return PRELUDE + text


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    races = load(arguments[0])
    mutations = races["mutation"]
    files = {}
    for number, mutation in enumerate(mutations, 1):
        for edit in mutation["edit"]:
            files.setdefault(edit.get("file", mutation.get("file")), []).append((mutation["name"], number, edit))
    if "--list-sources" in sys.argv:
        print(";".join(sorted(f for f in files if f.endswith(".cc"))), end="")
        return
    root, output = pathlib.Path(arguments[1]), pathlib.Path(arguments[2])
    for path, edits in files.items():
        target = output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(mutate_file(path, (root / path).read_text(), edits))
    rows = "".join(f'      {{{n}, "{m["name"]}", "{m["scenario"]}"}},\n' for n, m in enumerate(mutations, 1))
    (output / "mutations.cc").write_text(
        '#include "explore/mutation.h"\n\nnamespace quire::explore {\n\nstd::span<const Mutation> mutations() {\n'
        "  static constexpr Mutation kMutations[] = {\n" + rows + "  };\n  return kMutations;\n}\n\n}  // namespace quire::explore\n")


if __name__ == "__main__":
    main()
