# make run, make test: the two commands of a fresh machine. CI runs lint and test.
SHELL := /bin/bash -euo pipefail -c
CARGO ?= cargo
WEBHOOK ?= 127.0.0.1:8443
ADMIN ?= 127.0.0.1:8080
REVIEW ?= examples/reviews/misspelt-profile.json
export RUST_BACKTRACE ?= 0

.PHONY: run test test-dates test-long fuzz lint fix e2e e2e-versions e2e-oldest e2e-kind demo bench bench-cluster image release

## Builds and serves on https://127.0.0.1:8443, and posts one review to it.
run:
	$(CARGO) build --locked
	@examples/try.sh $(WEBHOOK) $(ADMIN) $(REVIEW) & \
	exec target/debug/callgate serve --standalone --policy restricted --profiles profiles \
	    --listen $(WEBHOOK) --admin-listen $(ADMIN) --ca-out certs/dev/ca.crt

## Runs all tests, also those on a real API server. Missing packages are installed first. Generated inputs are the same
## each time; `make test-long` draws others.
test: export CALLGATE_SEED ?= 1
test: export PROPTEST_RNG_SEED ?= 1
test:
	@e2e/setup
	@e2e/cluster/build >/dev/null
	@e2e/helm/build >/dev/null
	$(CARGO) test --locked
	CARGO=$(CARGO) tests/dates
	cd e2e/oracle && CGO_ENABLED=0 go test -count=1 ./...
	cd e2e/oracle && CGO_ENABLED=1 go test -count=1 -tags seccomp ./filters
	cd release/packer && CGO_ENABLED=0 go test -count=1 ./...
	e2e/cluster/test

## Runs every suite that needs no cluster on days of later years.
test-dates:
	@e2e/setup
	CARGO=$(CARGO) tests/dates

## Checks the laws on many more inputs than CI, compares 20,000 profiles with runc, kills agents, floods a replica, and
## measures for an hour the memory of a replica and an agent while objects are created and deleted, and that of an agent
## with 1,000 profiles of the largest size.
test-long:
	@e2e/setup
	$(CARGO) build --locked --examples
	cd e2e/oracle && CALLGATE_PROFILES=20000 CGO_ENABLED=1 go test -count=1 -timeout 60m -tags seccomp ./filters
	CALLGATE_KILL_SECONDS=120 $(CARGO) test --locked --test agent killed
	CALLGATE_FLOOD_SECONDS=60 $(CARGO) test --locked --test server flood
	CALLGATE_CHURN_SECONDS=3600 $(CARGO) test --locked --test e2e -- memory_stays_flat
	CALLGATE_LARGEST_PROFILES=1000 $(CARGO) test --locked --test nodes largest
	PROPTEST_CASES=50000 $(CARGO) test --locked --release --test laws --test placement

## Fuzzes the readers of reviews, YAML, profiles and BPF, each for FUZZ_SECONDS (60); TARGETS="yaml bpf" chooses.
fuzz:
	CARGO=$(CARGO) fuzz/run $(TARGETS)

## Only the suites on a real API server and on real nodes.
e2e:
	@e2e/helm/build >/dev/null
	$(CARGO) test --locked --test e2e --test nodes

## The suites on every version of Kubernetes that e2e/cluster/versions/list names, as root; writes docs/versions.md.
e2e-versions:
	@e2e/setup
	CARGO=$(CARGO) e2e/versions

## The suite on the API server of the oldest of them.
e2e-oldest:
	@e2e/setup
	CARGO=$(CARGO) e2e/versions oldest

## The suites of `make e2e` on kind, as root: its nodes are containers. SUITES=nodes runs one of the two.
e2e-kind:
	@CARGO=$(CARGO) e2e/kind/suites $(SUITES)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install cargo-deny --locked" >&2; exit 1; }
	$(CARGO) deny --log-level error check bans licenses sources
	@for module in e2e/cluster e2e/oracle release/packer; do \
	    test -z "$$(gofmt -l $$module | tee /dev/stderr)"; \
	done
	cd e2e/oracle && CGO_ENABLED=0 go vet ./...
	cd e2e/oracle && CGO_ENABLED=1 go vet -tags seccomp ./filters
	cd release/packer && CGO_ENABLED=0 go vet ./...
	cd release/tools && go tool actionlint ../../.github/workflows/*.yml

fix:
	$(CARGO) fmt --all
	$(CARGO) clippy --locked --workspace --all-targets --fix --allow-dirty
	gofmt -w e2e

## Shows the examples of the README on two real nodes; DEMO=--kind on those of a kind cluster.
demo:
	@e2e/setup
	$(CARGO) build --locked
	e2e/demo $(DEMO)

bench:
	$(CARGO) bench --locked --bench reviews --bench placement --bench check --bench replay

## The cost of a create on a real API server, and the memory of a replica in a large cluster.
bench-cluster:
	@e2e/cluster/check
	@e2e/cluster/build >/dev/null
	$(CARGO) bench --locked --bench cluster

## Writes the container image to dist/ as archives for registries and for Docker; needs no Docker.
image:
	release/image

## Writes to dist/ what a release consists of.
release:
	release/make "$(VERSION)"
