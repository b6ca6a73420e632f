# The operator's image: one static binary, and the CA bundle for managed
# services. A cluster's CA is in its kubeconfig, or beside the pod's token.
#
#   docker build -t roadstead:0.1.0 .

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# .cargo/config.toml links the C library statically. Only the root package is
# built, because the image does not contain the test ground.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package roadstead --bin roadstead \
    && cp "target/$(rustc -vV | sed -n 's/^host: //p')/release/roadstead" /roadstead

FROM scratch
COPY --from=build /roadstead /roadstead
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/roadstead"]
