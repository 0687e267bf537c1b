#!/bin/sh
# Everything there is to test of the page. LF_BIN is the program to test with; npm, node and chromium are needed.
set -eu
cd "$(dirname "$0")"
npm ci --silent
npm run --silent check
node --test test/*.test.mjs
