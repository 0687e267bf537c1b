#!/bin/sh
# Everything that the Python client must pass: types, tests, packages. LF_BIN names the lf program.
# Makes a virtual environment in .venv with the versions of requirements-dev.txt, and makes it again when those change.
set -eu
cd "$(dirname "$0")"
venv=${LF_PYTHON_VENV:-.venv}
python=${PYTHON:-python3}
mark="$venv/requirements-installed.txt"
wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT
{ "$python" --version; cat requirements-dev.txt; } >"$wanted"
if ! cmp -s "$wanted" "$mark"; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    pip="$venv/bin/python -m pip --quiet --disable-pip-version-check"
    $pip install --requirement requirements-dev.txt
    # What the package needs, kept for a test that installs it afresh.
    $pip download --dest "$venv/wheels" --constraint requirements-dev.txt brotli cryptography httpx
    cp "$wanted" "$mark"
fi
LF_PYTHON_WHEELS=$(cd "$venv/wheels" && pwd)
export LF_PYTHON_WHEELS
"$venv/bin/python" -m mypy
"$venv/bin/python" -m pytest -p no:cacheprovider -rs -s "$@"
