#!/bin/sh
# Usage: deploy/install.sh <requirements file>
# Creates .venv if there is no working one, and installs the file if it has changed since the last time.
# PYTHON names the Python to use; the default is the first of the usual names that is 3.11 or newer.
set -eu
cd "$(dirname "$0")/.."
requirements=$1
VENV_PYTHON=.venv/bin/python

fail() {
    echo "waybill: $*" >&2
    exit 1
}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for name in ${PYTHON:-python3.11 python3 python3.12 python3.13 python3.14}; do
        if is_recent "$name"; then
            echo "$name"
            return
        fi
    done
    fail "Python 3.11 or newer was not found. Install it, or name it: make run PYTHON=/path/to/python3.11"
}

apt_works() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1
}

apt_install_venv() {
    echo "Installing python3-venv, a separate package on this system ..."
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv >/dev/null
}

# Debian's Python has no ensurepip; a pip outside the environment can install into it.
make_venv() {
    rm -rf .venv
    "$python" -m venv .venv >/dev/null 2>&1 && return
    if "$python" -m pip --python "$python" --version >/dev/null 2>&1; then
        "$python" -m venv --clear --without-pip .venv >/dev/null 2>&1 && return
    fi
    if apt_works; then
        apt_install_venv && "$python" -m venv --clear .venv && return
    fi
    fail "$python cannot create a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
}

venv_pip() {
    if "$VENV_PYTHON" -c 'import pip' 2>/dev/null; then
        "$VENV_PYTHON" -m pip "$@"
    else
        "${python:-$(find_python)}" -m pip --python "$VENV_PYTHON" "$@"
    fi
}

# The development file includes the other one, so a change to either counts.
fingerprint() {
    "$VENV_PYTHON" -c 'import hashlib, pathlib, sys
text = b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:])
print(hashlib.sha256(sys.version.encode() + text).hexdigest())' requirements.txt "$requirements"
}

if ! is_recent "$VENV_PYTHON"; then
    python=$(find_python)
    echo "Creating the virtual environment .venv with $("$python" --version) ..."
    make_venv
fi

stamp=".venv/.installed-$requirements"
wanted=$(fingerprint)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing $requirements ..."
    venv_pip install --quiet --disable-pip-version-check -r "$requirements" ||
        fail "pip could not install $requirements; see its output above."
    echo "$wanted" >"$stamp"
fi

"$VENV_PYTHON" -m babel.messages.frontend -q compile --directory locale --domain django ||
    fail "the message catalogues in locale/ could not be compiled; see the error above."
