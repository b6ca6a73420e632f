#!/bin/sh
# Makes the certificates and keys of the tests anew. They guard nothing.
set -eu
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
touch "$scratch/index"
cat > "$scratch/ca.conf" <<CONF
[ca]
default_ca = a
[a]
new_certs_dir = $scratch
database = $scratch/index
rand_serial = yes
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
[client]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
[server]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:10.0.0.1
[loopback]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1
CONF
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key"; }
# issue NAME SECTION FROM TO KEY ISSUER
issue() {
    openssl req -new -key "$5.key" -subj "/CN=$1" -out "$scratch/$1.csr" 2>/dev/null
    if [ "$6" = self ]; then issuer="-selfsign -keyfile $5.key"; else issuer="-cert $6.crt -keyfile $6.key"; fi
    # shellcheck disable=SC2086
    openssl ca -batch -notext -config "$scratch/ca.conf" -extensions "$2" -startdate "$3" -enddate "$4" \
        -in "$scratch/$1.csr" -out "$1.crt" $issuer 2>/dev/null
}
for name in authority client other; do key "$name"; done
issue authority authority 20200101000000Z 21200101000000Z authority self
issue authority-expired authority 20200101000000Z 20210101000000Z authority self
issue client client 20200101000000Z 21200101000000Z client authority
issue client-expired client 20200101000000Z 20210101000000Z client authority
issue client-future client 21100101000000Z 21200101000000Z client authority
issue server server 20200101000000Z 21200101000000Z other authority
issue loopback loopback 20200101000000Z 21200101000000Z other authority
issue loopback-renewed loopback 20200101000000Z 21200101000000Z client authority
issue server-selfsigned server 20200101000000Z 21200101000000Z other self
# Without extensions a certificate is of version 1.
openssl req -new -key client.key -subj /CN=client-v1 -out "$scratch/v1.csr" 2>/dev/null
openssl x509 -req -in "$scratch/v1.csr" -CA authority.crt -CAkey authority.key -set_serial 1 -days 34000 -out client-v1.crt 2>/dev/null
openssl pkcs8 -topk8 -v2 aes256 -passout pass:test -in client.key -out client-encrypted.key
openssl ec -in client.key -out client-sec1.key 2>/dev/null
openssl ecparam -name secp521r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out p521.key
