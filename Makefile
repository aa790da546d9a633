# The five things one does with this tree. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run test check bench

export CARGO_TERM_COLOR ?= auto
# An incremental build writes twice the bytes for a tree that is built once.
ifdef CI
export CARGO_INCREMENTAL = 0
endif

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and serve everything on the embedded store, with the demo pages
	@echo "demo: http://127.0.0.1:8080/demo/ (once the build is done)"
	cargo run --release --package mayfly -- serve --demo

test: ## Install what the tests drive, then format, lints, every test: the one gate
	deploy/install-test-tools.sh
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo build --package mayfly --profile ci
	MAYFLY_READERS="$$(tests/readers/install.sh)" MAYFLY_FUZZ_S=$(if $(CI),10,1) cargo test --workspace
	tests/it/on_redis.sh
	tests/api/run.sh
	crates/mayfly/tag/test.sh
	tests/browser/run.sh

check: ## The quick part of the gate: format, lints, rules of the tree
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --package mayfly-tests --test tidy

bench: ## Measure, and print the figures of docs/performance.md
	benches/run.sh
