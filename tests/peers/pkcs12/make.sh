#!/bin/sh
# Made the files beside it, with OpenSSL 3.0: a client's key, its certificate and its authority's, for servers that know
# that authority only by `root.pem`. The passphrase is `secret`, but for `open.p12`, where it is empty.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# certify NAME CONSTRAINTS SIGNED_BY...
certify() {
    name=$1 constraints=$2
    shift 2
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$name.key" \
        -subj "/CN=PKCS#12 $name" -addext "basicConstraints=critical,$constraints" -out "$work/$name.csr"
    openssl x509 -req -in "$work/$name.csr" -copy_extensions copy -days 36500 -out "$work/$name.pem" "$@"
}
certify root CA:TRUE -signkey "$work/root.key"
certify authority CA:TRUE -CA "$work/root.pem" -CAkey "$work/root.key"
certify client CA:FALSE -CA "$work/authority.pem" -CAkey "$work/authority.key"

export_client() {
    openssl pkcs12 -export -in "$work/client.pem" -inkey "$work/client.key" -certfile "$work/authority.pem" "$@"
}
cp "$work/root.pem" root.pem
export_client -passout pass:secret -out modern.p12
export_client -passout pass:secret -legacy -out legacy.p12
export_client -passout pass: -out open.p12
openssl pkcs12 -export -nokeys -in "$work/client.pem" -passout pass:secret -out keyless.p12
