#!/bin/sh
# Publishes the system's CA bundle into a fresh private network on this machine, and looks some of it up.
#
# usage: run.sh    (LF is the lf binary, by default the one in PATH)
set -eu
here=$(dirname "$0")
lf=${LF:-lf}
home=$(mktemp -d)
export LF_PATH="$home/localtest"
trap 'kill "$node" 2>/dev/null; wait "$node" 2>/dev/null; rm -rf "$home"' EXIT INT TERM
node=

"$lf" makegenesis --name ca-bundle --comment 'Fingerprints of a CA bundle' --work-factor 1 --output "$LF_PATH" >"$home/genesis.json"
"$lf" --path "$home" node start --localtest --http 127.0.0.1:0 >"$home/ready" &
node=$!
until grep -q ready "$home/ready"; do
    kill -0 "$node"
    sleep 0.1
done

"$here/fingerprints.sh" >"$home/fingerprints.jsonl"
"$lf" import "$home/fingerprints.jsonl"

echo
echo "By range: $lf get --open 'ca-bundle#1#5'"
"$lf" get --open 'ca-bundle#1#5'

echo
subject=$(sed -n '3s/.*{"Name": "\(.*\)"}\], .*/\1/p' "$home/fingerprints.jsonl" | sed 's/#/\\\\#/g')
echo "By name: $lf get 'ca-bundle#' '$subject'"
"$lf" get 'ca-bundle#' "$subject"
