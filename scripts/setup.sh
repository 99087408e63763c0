# Sourced by scripts/demo, scripts/test and .ci/run, which set $root: installs what the build needs (Debian 12, apt),
# builds, and runs the tests.

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

build_packages=(g++ cmake ninja-build pkg-config zlib1g-dev libdeflate-dev libssl-dev libpng-dev libcli11-dev
  nlohmann-json3-dev libspdlog-dev libfmt-dev libtomlplusplus-dev libopenblas-serial-dev)
test_packages=(libgtest-dev qemu-user chromium)

# need PACKAGE...: installs those that are missing; stops with a clear message where it may not.
need() {
  command -v dpkg-query >/dev/null || die "this script installs with apt (Debian 12). Elsewhere install by hand: $*"
  local missing=() p
  for p; do [[ $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) == *"install ok installed" ]] || missing+=("$p"); done
  ((${#missing[@]})) || return 0
  say "Installing with apt: ${missing[*]}"
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
      die "these packages are missing and only root may install them: run 'apt-get install ${missing[*]}' as root, then try again"
    as_root=(sudo -n)
  fi
  "${as_root[@]}" apt-get update -q || die "apt-get update failed: is the network there?"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" ||
    die "apt-get install failed"
}

# build FOLDER [CMAKE OPTION...]
build() {
  local folder=$1
  shift
  say "Building in $folder"
  mkdir -p "$(dirname "$folder")"
  cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" >"$folder.log" 2>&1 ||
    { tail -n 20 "$folder.log" >&2; die "configuring failed, see $folder.log"; }
  cmake --build "$folder" || die "the build failed"
}

# run_tests FOLDER [CTEST OPTION...]: ctest, with one line that counts the skipped tests before its summary.
run_tests() {
  local folder=$1
  shift
  ctest --test-dir "$folder" --output-on-failure -j "$(nproc)" "$@" |
    awk -v log_file="$folder/Testing/Temporary/LastTest.log" -f "$root/scripts/summary.awk"
}
