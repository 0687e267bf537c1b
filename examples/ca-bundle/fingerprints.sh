#!/bin/sh
# Prints the certificates of a CA bundle as JSON lines for lf import: under the names "ca-bundle" (with the
# certificate's place as ordinal) and the certificate's subject, its SHA-256 fingerprint.
#
# usage: fingerprints.sh [DIRECTORY OR FILE…]   (default: where Debian's package ca-certificates has them)
set -eu
[ $# -gt 0 ] || set -- /usr/share/ca-certificates
find "$@" -type f \( -name '*.crt' -o -name '*.pem' \) | LC_ALL=C sort | {
    n=0
    while IFS= read -r file; do
        n=$((n + 1))
        subject=$(openssl x509 -in "$file" -noout -subject -nameopt RFC2253,-esc_msb,utf8)
        fingerprint=$(openssl x509 -in "$file" -noout -fingerprint -sha256)
        # What JSON wants to be escaped in a string.
        subject=$(printf '%s' "${subject#subject=}" | sed 's/\\/\\\\/g; s/"/\\"/g')
        printf '{"Selectors": [{"Name": "ca-bundle", "Ordinal": %d}, {"Name": "%s"}], "Value": "%s"}\n' \
            "$n" "$subject" "${fingerprint#*=}"
    done
}
