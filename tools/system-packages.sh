#!/bin/sh
# Install the Debian or Ubuntu packages that are missing.
#
#     tools/system-packages.sh GROUP...
#
# Groups: `setup` (needed by the virtual environment), `flow` (compiler, simulator, timing
# analyser and cell library, needed by `implicore demo`), `test` (scans, solver and browser,
# needed by the tests in addition).
# The script installs as root or through sudo. If neither works, it prints one sentence with the
# missing packages and exits with 2. If nothing is missing, it takes milliseconds and prints nothing.
set -eu

missing=""

# require PACKAGE COMMAND...: PACKAGE is missing unless COMMAND succeeds.
require() {
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

installed() {
    dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed$'
}

find_missing() {
    missing=""
    for group in "$@"; do
        case $group in
        setup)
            require python3 python3 --version
            # Debian's python3 may lack ensurepip, without which no environment gets a pip.
            require python3-venv python3 -c 'import ensurepip, venv'
            ;;
        flow)
            require iverilog iverilog -V
            require g++ g++ --version
            require make make --version
            require perl perl -v
            require opensta sta -version
            require qflow-tech-osu018 installed qflow-tech-osu018
            ;;
        test)
            require mricron-data installed mricron-data
            require invesalius-examples installed invesalius-examples
            require z3 z3 --version
            require qflow-tech-osu035 installed qflow-tech-osu035
            require chromium command -v chromium
            ;;
        *)
            echo "Unknown group of system packages: $group" >&2
            exit 2
            ;;
        esac
    done
}

find_missing "$@"
if [ -n "$missing" ]; then
    if [ "$(id -u)" -eq 0 ]; then
        as_root=""
    elif sudo -n true 2>/dev/null; then
        as_root="sudo"
    elif [ -t 0 ] && command -v sudo >/dev/null; then
        as_root="sudo" # asks for the password
    else
        as_root="none"
    fi
    if [ "$as_root" = none ] || ! command -v apt-get >/dev/null; then
        echo "These system packages are missing, and installing them needs apt and root or sudo:$missing" >&2
        exit 2
    fi
    echo "Installing system packages:$missing"
    # An index that cannot be refreshed may still be good enough for the installation below.
    $as_root apt-get update -qq || true
    # shellcheck disable=SC2086 # both are lists of words
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing >/dev/null || true
    wanted=$missing
    find_missing "$@"
    if [ -n "$missing" ]; then
        echo "These system packages could not be installed:$missing (of$wanted)" >&2
        exit 2
    fi
fi

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "Python 3.10 or newer is needed, not $(python3 --version)" >&2
    exit 2
fi
