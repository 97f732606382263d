"""Nothing in core is left that nobody uses."""

import subprocess
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import unused  # noqa: E402


# Rows: S2.13
def test_every_function_of_core_is_used():
    result = subprocess.run([ROOT / "scripts/unused.py"], capture_output=True, text=True)
    assert (result.stdout.strip(), result.returncode) == ("", 0), result.stderr


@pytest.mark.parametrize("declaration, name", [
    ("  [[nodiscard]] PageCount left_over() const { return left_; }\n", "left_over"),
    ("void left_over(VirtRange range, bool twice);\n", "left_over"),
    ("  template <typename T>\n  T* left_over(T& one) const {\n", "left_over"),
])
def test_a_declaration_is_seen(declaration, name):
    assert unused.DECLARED.search(declaration)[1] == name


def test_a_call_is_no_declaration():
    assert not unused.DECLARED.search("  return left_over(one);\n") or unused.NOT_CALLED_BY_NAME.search("return")
