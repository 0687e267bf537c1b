#!/bin/sh
# Everything that the Python client must pass: format, types, tests, packages. LF_BIN names the lf program.
# Makes a virtual environment in .venv with the versions of requirements-dev.txt, and makes it again when those change.
# Exits with 77 if that cannot be made here: Python is too old, has no venv, or PyPI cannot be reached.
set -eu
cd "$(dirname "$0")"
venv=${LF_PYTHON_VENV:-.venv}
python=${PYTHON:-python3}
mark="$venv/requirements-installed.txt"
wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT

make_venv() {
    "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' || return 1
    rm -rf "$venv"
    "$python" -m venv "$venv" || return 1
    pip="$venv/bin/python -m pip --quiet --disable-pip-version-check"
    $pip install --requirement requirements-dev.txt || return 1
    # What the package needs, kept for a test that installs it afresh.
    $pip download --dest "$venv/wheels" --constraint requirements-dev.txt brotli cryptography httpx || return 1
    cp "$wanted" "$mark"
}

{ "$python" --version; cat requirements-dev.txt; } >"$wanted"
if ! cmp -s "$wanted" "$mark" && ! make_venv; then
    echo "no environment to test in: Python 3.10 or newer with venv, and PyPI, are needed" >&2
    exit 77
fi
LF_PYTHON_WHEELS=$(cd "$venv/wheels" && pwd)
export LF_PYTHON_WHEELS
"$venv/bin/python" -m ruff check --no-cache --quiet src tests
"$venv/bin/python" -m ruff format --no-cache --quiet --check src tests
"$venv/bin/python" -m mypy
"$venv/bin/python" -m pytest -p no:cacheprovider -rs -s "$@"
