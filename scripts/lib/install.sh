# What the scripts have in common: Rust and system packages. Sourced, not run.

# The oldest Rust that builds driftfs (Cargo.toml says the same).
RUST_NEEDED=1.89

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Stops with the line to type when Rust is missing or too old.
need_rust() {
  [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
  local line="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  command -v cargo >/dev/null || die "Rust is not installed. Install it, then run this again:
  $line"
  local have
  have=$(rustc --version | awk '{print $2}')
  if [ "$(printf '%s\n%s\n' "$RUST_NEEDED" "${have%%-*}" | sort -V | head -1)" != "$RUST_NEEDED" ]; then
    die "Rust $have is too old; driftfs needs $RUST_NEEDED. Update it, then run this again:
  rustup update stable        (or install rustup: $line)"
  fi
}

# need_packages NAME=FILE ...: installs the Debian packages whose file is missing. As a user it prints the one line to
# type and stops.
need_packages() {
  local missing=() pair
  for pair in "$@"; do
    local name=${pair%%=*} probe=${pair#*=}
    # shellcheck disable=SC2086
    if ! { command -v "$probe" || ls $probe; } >/dev/null 2>&1; then missing+=("$name"); fi
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || die "Missing: ${missing[*]}. Install them with your package manager, then run this again."
  if [ "$(id -u)" != 0 ]; then
    die "Some system packages are missing. Install them, then run this again:
  sudo apt-get install -y ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  local log; log=$(mktemp)
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"; } </dev/null >"$log" 2>&1 \
    || { tail -20 "$log" >&2; rm -f "$log"; die "apt-get could not install ${missing[*]}; the lines above say why."; }
  rm -f "$log"
}
