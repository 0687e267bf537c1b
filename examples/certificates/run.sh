#!/bin/sh
# A private network of three nodes on this machine in which only certified owners can write: two are authorized, both
# publish, one is revoked; what each node answers is shown, and what openssl says of it all.
#
# usage: run.sh    (LF is the lf binary, by default the one in PATH)
set -eu
lf=${LF:-lf}
case $lf in
*/*) lf=$(cd "$(dirname "$lf")" && pwd)/$(basename "$lf") ;;
esac
base=$(mktemp -d)
export LF_PATH="$base/client"
nodes=
trap 'kill $nodes 2>/dev/null; wait 2>/dev/null; rm -rf "$base"' EXIT INT TERM
cd "$base"

say() {
    printf '\n# %s\n' "$*"
}

# Starts a node, told of the first one, and leaves its URL in a file of its name.
start() {
    mkdir "$1"
    cp genesis.lf "$1/"
    "$lf" --path "$base/$1" node start --http 127.0.0.1:0 --p2p 127.0.0.1:0 ${2:+--seed "$2"} >"$1.ready" &
    nodes="$nodes $!"
    until grep -q ready "$1.ready"; do
        kill -0 "$!"
        sleep 0.1
    done
    sed -n 's|.*\(http://[0-9.:]*\).*|\1|p' "$1.ready" >"$1.url"
}

# Asks every node until all give the same answer, for a minute at most: replication takes a moment.
everywhere() {
    for node in one two three; do
        tries=0
        until [ "$("$lf" get --url "$(cat $node.url)" "$1")" = "$2" ]; do
            tries=$((tries + 1))
            [ "$tries" -lt 600 ]
            sleep 0.1
        done
        echo "$node: ${2:-(nothing)}"
    done
}

say "A root authority, and a network that requires certificates"
"$lf" ca root --common-name 'Example CA' --output ca.pem
"$lf" makegenesis --name certified --work-factor 1 --ca-file ca.pem --auth-required true --amendable authcertificates >genesis.json
"$lf" genesis show genesis.lf

say "Three nodes"
start one
port=$("$lf" --json status --url "$(cat one.url)" | sed -n 's/.*"P2PPort": \([0-9]*\).*/\1/p')
start two "127.0.0.1:$port"
start three "127.0.0.1:$port"
cat ./*.ready
"$lf" url default "$(cat one.url)" >/dev/null

say "Two owners ask, and are certified"
"$lf" owner new alice ed25519
"$lf" owner new bob p384
"$lf" owner makecsr alice --common-name 'Alice Example' --country DE --output alice.csr >/dev/null
"$lf" owner makecsr bob --common-name 'Bob Example' --output bob.csr >/dev/null
"$lf" owner authorize ca.pem alice.csr 365
"$lf" owner authorize ca.pem bob.csr 365
"$lf" owner status alice

say "They publish; somebody else cannot"
"$lf" set --owner alice weather sunny
"$lf" set --owner bob stock 41
"$lf" owner new mallory
if "$lf" set --owner mallory weather hail; then exit 1; fi

say "lf get weather, by each node"
everywhere weather 'sunny | weather#0'
say "lf get stock, by each node"
everywhere stock '41 | stock#0'

say "Bob's key was stolen"
bob=$("$lf" owner list | sed -n 's/^bob .* \(@.*\)/\1/p')
"$lf" ca revoke ca.pem "$bob" --reason keyCompromise
"$lf" ca list ca.pem
"$lf" owner status bob
if "$lf" set --owner bob stock 0; then exit 1; fi

say "lf get stock, by each node"
everywhere stock ''
say "lf get weather, by each node"
everywhere weather 'sunny | weather#0'

if command -v openssl >/dev/null; then
    say "What openssl says of the request, the authority and its revocation list"
    openssl req -in alice.csr -verify -noout -subject
    openssl x509 -in ca.pem -noout -subject -ext basicConstraints,keyUsage
    "$lf" ca crl ca.pem --output crl.pem
    openssl crl -in crl.pem -CAfile ca.pem -noout -text | grep -E 'verify|Issuer|Serial Number|Key Compromise' || true
fi
