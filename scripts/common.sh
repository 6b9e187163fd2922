# Sourced by the other scripts: where they run, and how they speak.
set -eu
cd "$(dirname "$0")/.."

# The BEAM takes file names for Latin-1 where the locale does not say UTF-8.
export LC_ALL=C.UTF-8 ELIXIR_ERL_OPTIONS="+fnu"

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '==> %s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# step NAME COMMAND...: run a step of a check; what failed is kept, and `conclude` says it.
FAILED=""
step() {
    name=$1
    shift
    say "$name"
    began=$(date +%s)
    if "$@"; then
        echo "    ok, $(($(date +%s) - began)) s"
    else
        echo "    FAILED, $(($(date +%s) - began)) s"
        FAILED="$FAILED
    $name"
    fi
}

conclude() {
    [ -z "$FAILED" ] || fail "These failed:$FAILED"
}
