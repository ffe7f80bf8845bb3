# Everything that Ringplane's users and developers type. `make help` lists it.

CARGO ?= cargo
# One profile for all tests: optimised, with debug assertions and overflow checks.
TEST := --workspace --profile ci --locked
# Real peers that the tests call, and what judges their sound. Debian's packages; pjsua, sippy, PESQ (a C extension that is
# built: python3-dev) and SIP.js come from PyPI and npm, in the versions that cli/tests/peers pins.
PEERS := kamailio sip-tester sipsak sipvicious zzuf tshark baresip-core linphone-cli rtpengine-daemon sox espeak-ng asterisk-core-sounds-en-wav iproute2 procps opus-tools openssl python3-venv python3-dev

.DEFAULT_GOAL := help
.PHONY: help tools build run check test test-all peers bench-peers loom sim bench bench-media bench-sip bench-audio bench-b2bua bench-sip-memory bench-parse bench-pacing bench-legs load loss fmt

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 24

# What building needs beside a C compiler: libopus comes as sources that cmake builds.
tools:
	$(call install,$(shell command -v cmake >/dev/null || echo cmake))

build: tools ## the switch, optimised: target/release/ringplane
	$(CARGO) build --release --locked

run: build ## builds and starts the switch, and prints how to place a call (ARGS="--listen 127.0.0.1:5070")
	exec target/release/ringplane serve $(ARGS)

check: tools ## stage 1, minutes: format, lints, docs and their examples, rules of the house, unit tests
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets $(TEST) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet $(TEST)
	$(CARGO) test --profile ci --locked --test house
	$(CARGO) test $(TEST) --no-fail-fast --lib --bins
	$(CARGO) test $(TEST) --no-fail-fast --doc

# Matrices and suites write here what was good only at the second try, and how much of all that is.
SECOND_TRIES := $(CURDIR)/target/tmp/second-tries.txt

# `check` has run the unit tests. Tests of examples and of the executable need those built.
test: check loom peers ## stage 2, what CI runs, at most 35 minutes on two cores: `check`, then every other test once, with real peers
	@mkdir -p $(dir $(SECOND_TRIES)) && rm -f $(SECOND_TRIES)
	$(CARGO) build $(TEST) --bins --examples
	RINGPLANE_SECOND_TRIES=$(SECOND_TRIES) $(CARGO) test $(TEST) --no-fail-fast --test '*'; status=$$?; cat $(SECOND_TRIES) 2>/dev/null; exit $$status

test-all: export RINGPLANE_TEST_ALL = 1
test-all: test ## stage 3, two hours: `test` with matrices in full and soaks at full length, long seeds, `load` and `loss`
	$(MAKE) sim SEEDS=100000
	$(CARGO) run --profile ci --locked -p ringplane-sim -- --seeds 20000 --noisy 1
	$(MAKE) load loss

loom: ## every interleaving of the shared-memory queue
	RUSTFLAGS="--cfg loom" $(CARGO) test -p ringplane-shm --profile ci --locked --target-dir target/loom --lib --test loom_queue

SEEDS ?= 10000
sim: ## random calls on a bad network, in virtual time (SEEDS=10000)
	$(CARGO) run --profile ci --locked -p ringplane-sim -- --seeds $(SEEDS)
	$(CARGO) run --profile ci --locked -p ringplane-sim -- --system 1 --seeds $$(( $(SEEDS) / 20 ))

# Installs those of these packages of Debian that are missing.
define install
	@for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends $$missing; fi
endef

peers: ## installs the programs that tests and benchmarks call (Debian, PyPI, npm)
	$(call install,$(PEERS) $(shell command -v npm >/dev/null || echo nodejs npm))
	@if ! cmp -s cli/tests/peers/requirements.txt target/peers/python/requirements.txt; then echo "installing pjsua, sippy and its call suite, PESQ"; \
	  rm -rf target/peers/python && python3 -m venv target/peers/python && \
	  target/peers/python/bin/pip install -q --disable-pip-version-check -r cli/tests/peers/requirements.txt && \
	  target/peers/python/bin/python -c "import pjsua2, sippy, test_cases, pesq" && \
	  cp cli/tests/peers/requirements.txt target/peers/python/ || \
	  { echo "cli/tests/peers/requirements.txt could not be installed: see above; \`make peers\` needs python3-venv and PyPI"; exit 1; }; fi
	@node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || \
	  { echo "SIP.js needs Node.js 18 or later: install it, then \`make peers\` again"; exit 1; }
	@if ! cmp -s cli/tests/peers/package.json target/peers/sipjs/package.json; then echo "installing SIP.js"; \
	  rm -rf target/peers/sipjs target/peers/sipjs.new && mkdir -p target/peers/sipjs.new && cp cli/tests/peers/package.json target/peers/sipjs.new/ && \
	  (cd target/peers/sipjs.new && npm install --loglevel error --no-audit --no-fund --no-package-lock) && \
	  mv target/peers/sipjs.new target/peers/sipjs || \
	  { echo "SIP.js could not be installed: see above; \`make peers\` needs npm's registry"; exit 1; }; fi

bench-peers:
	$(call install,kamailio valgrind)

bench: bench-media bench-audio bench-sip bench-b2bua bench-sip-memory bench-parse bench-pacing bench-legs ## the canonical benchmark: media beside rtpengine, SIP beside SIPp and Kamailio
bench-media: build peers ## relayed RTP beside rtpengine, same generator, alternating
	$(CARGO) run --release --locked -p ringplane-bench -- media
bench-audio: build peers ## transcoded RTP beside rtpengine: three pairs of codecs; real-time factors of the codecs
	$(CARGO) run --release --locked -p ringplane-bench -- audio
bench-sip: build peers bench-peers ## answered calls beside SIPp's own UAS, OPTIONS beside Kamailio's stateless replier
	$(CARGO) run --release --locked -p ringplane-bench -- sip
	$(CARGO) run --release --locked -p ringplane-bench -- options
bench-sip-memory: build ## bytes of 10,000 calls, 100,000 dialogs, 100,000 subscriptions held; what comes back afterwards
	$(CARGO) run --release --locked -p ringplane-bench -- sip-memory
bench-parse: bench-peers ## a parsed INVITE of 1 KB beside two other parsers: instructions, allocations, nanoseconds
	$(CARGO) build --release --locked -p ringplane-sip-wire --example instructions
	$(CARGO) run --release --locked -p ringplane-bench -- parse
bench-b2bua: build peers bench-peers ## calls through the back-to-back user agent beside straight ones and Kamailio; set-up work; events
	$(CARGO) run --release --locked -p ringplane-bench -- b2bua
	$(CARGO) run --release --locked -p ringplane-bench -- setup
	$(CARGO) run --release --locked -p ringplane-bench -- events
bench-legs: build ## legs opened and closed a second
	$(CARGO) run --release --locked -p ringplane-bench -- legs

bench-pacing: build ## how late the media plane's own packets leave
	$(CARGO) run --release --locked -p ringplane-bench -- pacing

load: build peers ## the load test: 500 calls held for 30 s with a tone, judged from a capture
	$(CARGO) run --release --locked -p ringplane-loadtest -- heard --switch target/release/ringplane

loss: build peers ## 10,000 calls by SIPp while a tenth of all datagrams is lost, each way
	$(CARGO) run --release --locked -p ringplane-loadtest -- loss --switch target/release/ringplane

fmt: ## formats all code
	$(CARGO) fmt
