# Sourced by ./quire, which sets `root` and `stamp`: installs missing Debian packages and builds the command and the kernel.
# shellcheck shell=sh disable=SC2154

fail() {
  echo "quire: $*" >&2
  exit 125
}

# The packages of a group of scripts/packages that are not installed, on one line.
missing_packages() {
  wanted=$(awk -v group="$1" '$1 == group { print $2 }' "$root/scripts/packages")
  # shellcheck disable=SC2086  # a list of words
  installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null | sed -n 's/^ii *//p')
  # shellcheck disable=SC2086
  printf '%s\n' $wanted | grep -vxF -e "$installed" | tr '\n' ' ' | sed 's/ $//'
}

# as_root COMMAND...: directly, or through sudo if this is not root.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo -- "$@"
  else
    sudo -n -- "$@"
  fi
}

apt_install() {
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1 >"$root/build/apt.log" 2>&1 </dev/null
}

# require_packages GROUP REASON: installs what is missing, asking for root only then.
require_packages() {
  mkdir -p "$root/build" || fail "cannot write to $root/build"
  command -v dpkg-query >/dev/null ||
    fail "no dpkg-query here: install what scripts/packages lists by hand, then run build/release/cli/quire"
  missing=$(missing_packages "$1")
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || fail "no apt-get here, and needed $2: $missing"
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    fail "needed $2, and there is no sudo; as root: apt-get install $missing"
  fi
  echo "quire: installing $missing ($2) with apt-get" >&2
  apt_install "$missing" && return 0
  as_root apt-get update -qq >"$root/build/apt-update.log" 2>&1 || fail "apt-get update failed; see build/apt-update.log"
  apt_install "$missing" || {
    tail -n 5 "$root/build/apt.log" >&2
    fail "apt-get could not install $missing; the whole output is in build/apt.log"
  }
}

# build_preset PRESET TARGET...: configures once, then builds what changed. Silent unless it fails.
build_preset() {
  preset=$1
  shift
  dir=$root/build/$preset
  # A tree that was moved has absolute paths of its old place in the cache.
  if [ -e "$dir/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$dir/CMakeCache.txt"; then
    rm -rf "$dir"
  fi
  if ! {
    { [ -e "$dir/build.ninja" ] || (cd "$root" && cmake --preset "$preset"); } && ninja -C "$dir" "$@"
  } >"$root/build/$preset.log" 2>&1; then
    tail -n 40 "$root/build/$preset.log" >&2
    fail "building $preset failed; the whole output is in build/$preset.log"
  fi
}

# Builds the command and the kernel; two callers at once take turns. The stamp carries the time at which the build began, so what
# is edited meanwhile is built next time.
build_command() {
  exec 9>"$root/build/lock" || fail "cannot write to $root/build"
  flock 9
  if ! (up_to_date); then
    [ ! -t 2 ] || echo "quire: building" >&2
    touch "$stamp.new"
    build_preset release command
    build_preset kernel
    mv "$stamp.new" "$stamp"
  fi
  exec 9>&-
}
