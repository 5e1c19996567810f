# The two commands a newcomer types are `make demo` and `make test`. Everything else is for developers.

CARGO ?= cargo
DEMO_OUT ?= demo-out

.PHONY: demo test lint deps build help bench-setup bench-sound bench-echo bench-latency bench-browser bench-chaos bench-turn bench-reliability

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

deps: ## Install the system packages that are missing
	@scripts/install-deps

demo: deps ## A real call against the simulator: progress, figures, recordings
	@$(CARGO) build --release --quiet
	@target/release/chatphone demo --out $(DEMO_OUT)

build: deps ## The release binary: target/release/chatphone
	$(CARGO) build --release

test: ## Everything that CI runs
	@scripts/install-deps test
	@scripts/test

lint: deps ## Formatting, clippy, documentation, licences (with cargo-deny, where it is installed)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo "cargo-deny is not installed: licences not checked"; fi

bench-setup: deps ## 20 calls on loopback: setup times, CPU, memory
	@$(CARGO) build --release --quiet
	@python3 scripts/bench_setup.py

bench-sound: deps ## The sound over bad networks, scored, in virtual time: about 5 minutes
	@scripts/bench-sound

bench-echo: deps ## Echo, noise and gain in made-up rooms, scored, in virtual time: about 3 minutes
	@scripts/bench-echo

bench-latency: ## Mouth to ear through virtual devices (PulseAudio), in real time
	@scripts/install-deps test
	@$(CARGO) build --release --quiet
	@$(CARGO) build --release --quiet --example loopback
	@python3 scripts/bench_latency.py

bench-browser: ## Sound and setup time beside headless Chromium's, in real time: about 15 minutes
	@scripts/install-deps test
	@scripts/bench-browser

bench-turn: ## Relays (coturn) over UDP, TCP and TLS, and dead servers: setup times, loss in the stream: about 3 minutes
	@scripts/install-deps test
	@$(CARGO) test --quiet --test turn_figures -- --ignored --nocapture --test-threads=1

bench-chaos: deps ## 500 short calls in which anything may go wrong: outcomes, leaks, memory
	@CHATPHONE_CHAOS_CALLS=$${CHATPHONE_CHAOS_CALLS:-500} $(CARGO) test --quiet --test chaos -- --nocapture

bench-reliability: ## The survival ladder: a call, a fault, the time until it is back (root, Linux; half an hour)
	@scripts/install-deps test
	@$(CARGO) build --release --quiet
	@python3 scripts/bench_reliability.py
