# One static binary and nothing else, as `make image` makes it without Docker. The architecture is that of the builder.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY tests/support/Cargo.toml tests/support/
COPY confine confine
COPY src src
# With a target that is named, the flag is not for build scripts and macros, which cannot be static.
RUN target=$(uname -m)-unknown-linux-gnu \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin callgate --target "$target" \
    && mv "target/$target/release/callgate" /callgate

FROM scratch
COPY --from=build /callgate /bin/callgate
USER 60918:60918
ENTRYPOINT ["/bin/callgate"]
