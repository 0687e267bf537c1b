#!/bin/sh
# Everything that the TypeScript client must pass: types, tests, the package. LF_BIN names the lf program.
set -eu
cd "$(dirname "$0")"
: "${LF_BIN:?must name the lf program}"
# npm writes a copy of the lockfile into node_modules: what is installed already is not installed again.
if ! cmp -s package-lock.json node_modules/.lf-lockfile; then
    npm ci --no-audit --no-fund
    cp package-lock.json node_modules/.lf-lockfile
fi
rm -rf build dist
npx tsc
npm run --silent build
node --test --test-reporter=spec build/test/*.test.js
