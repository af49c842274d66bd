# Needs Go, Node.js with npm, and make; everything else is fetched and kept in
# the caches of Go and npm, or in .cache.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := build

# Paths of this checkout in what Go compiles would have its cache serve this one alone.
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)

# Every Go module of the repository: "." first.
MODULES := $(sort $(patsubst %/,%,$(dir $(shell find . -name node_modules -prune -o -path './.*' -prune -o -name go.mod -print))))
ROOT := $(CURDIR)
STATICCHECK := $(ROOT)/.cache/staticcheck
# Folders with npm packages.
NPM := integration/oidcprovider integration/openidclient integration/pageassets
INSTALLED := $(NPM:%=%/node_modules/.package-lock.json)

# How long each fuzz target runs.
FUZZTIME ?= 1m
# More for go test: make test TESTFLAGS='-run TestReload -v'. CONTRIBUTING.md has more.
TESTFLAGS ?=
# A test binary may take this long; then go test ends it and says where it waits.
TIMEOUT ?= 60m
# lint has vetted what the parts of test run.
GOTEST := test -count=1 -timeout=$(TIMEOUT) -vet=off
# The race detector needs a C compiler on most systems.
RACE := $(if $(shell command -v $$(go env CC)),-race)

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./caddy as xcaddy.json says (default)
	@go -C integration run ./cmd/build

.PHONY: demo
demo: build ## run a bank, a directory and a third-party provider on this machine
	@go -C integration build -o ../.cache/demo ./cmd/demo && exec .cache/demo

# The parts of test.
TESTS := lint test-crash test-e2e test-packages test-interop
# The packages of integration that are parts of their own.
APART := /integration/\(crash\|e2e\|interop\)$$
# What test-quick leaves out beside: packages that start processes, or build programs.
PROCESSES := /integration/\(authserverprocess\|authservertest\|cmd/.*\|crash\|e2e\|gateway\|interop\|readme\)$$

# Three parts at a time: the crash tests wait for leases, and the others for processes.
# GNU make shows the output of a part when it is done.
.PHONY: test
test: ## lint, then all tests of all modules (10 minutes)
	@test -d ../shared/spec || echo "left out: answers against the official OpenAPI files, which are not in ../shared/spec" >&2
	@$(if $(RACE),,echo "no C compiler: the tests run without the race detector" >&2)
	@echo "==> $(TESTS), three at a time"
	@CRASH_TIME=$${CRASH_TIME:-20s} $(MAKE) --keep-going --jobs=3 --output-sync=target $(TESTS)

# Tests that wait for processes run four at a time, however few processors there are. The
# module with most of these comes first.
.PHONY: test-packages
test-packages: node ## the tests of all packages but those of test-e2e, test-interop and test-crash
	@failed=; for module in $$(printf "%s\n" $(MODULES) | sort -r); do \
		echo "==> go test in $$module"; \
		go -C "$$module" $(GOTEST) $(RACE) -parallel=4 $(TESTFLAGS) $$(go -C "$$module" list ./... | grep -v '$(APART)') || failed="$$failed $$module"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed in:$$failed" >&2; exit 1; fi

.PHONY: test-quick
test-quick: ## the tests that start no process, for working: without the race detector, cached
	@for module in $(MODULES); do \
		go -C "$$module" test -short -timeout=$(TIMEOUT) $(TESTFLAGS) $$(go -C "$$module" list ./... | grep -v '$(PROCESSES)'); \
	done

# The test binaries of these and of test-crash are clients of the gateway, and run without
# the race detector. The gateways of tests that do much at once have it all the same.
.PHONY: test-e2e
test-e2e: node ## the gateway as a process, in front of real authorization servers
	@echo "==> go test in integration/e2e"
	@go -C integration $(GOTEST) -parallel=8 $(TESTFLAGS) ./e2e

.PHONY: test-interop
test-interop: node ## every authorization server, every step: a matrix
	@echo "==> go test in integration/interop"
	@go -C integration $(GOTEST) $(RACE) -v $(TESTFLAGS) ./interop | { grep -v '^=== \|^ *--- PASS' || true; }

# Most of the time of these tests is waiting for leases to end.
.PHONY: test-crash
test-crash: node ## kill the gateway at every step, and at random under load for CRASH_TIME (1m)
	@echo "==> go test in integration/crash"
	@go -C integration $(GOTEST) -parallel=8 -v $(TESTFLAGS) ./crash | { grep -v '^=== \|^ *--- PASS' || true; }

# The parts of test-long, each at most an hour.
PARTS := crowd kills fuzz e2e-all
PART ?= $(PARTS)

.PHONY: test-long
test-long: $(PART:%=long-%) ## what takes hours, or PART=crowd, kills, fuzz or e2e-all of it

.PHONY: $(PARTS:%=long-%)
long-crowd: node
	@echo "==> a thousand clients at once, at every authorization server"
	@CROWD=1000 E2E=all go -C integration test $(RACE) -count=1 -timeout=60m -v -run='^TestUpAndDown$$' ./e2e
long-kills: node
	@echo "==> kills of the gateway, at random and at each step of a registration, and of a process that writes the store"
	@E2E=all CRASH_TIME=20m go -C integration test -count=1 -parallel=8 -timeout=60m -v -run='^(TestRandomKills|TestTokensAreNotBurnt)$$' ./crash
	@REGISTRY_BADGER_KILLED_ROUNDS=200 go test $(RACE) -count=1 -timeout=30m -v -run='^TestKilled$$' ./registry/badger
long-fuzz:
	@$(MAKE) fuzz
long-e2e-all: node
	@echo "==> all end-to-end tests at every authorization server, every gateway with the race detector"
	@E2E=all go -C integration test $(RACE) -count=1 -timeout=60m ./e2e

.PHONY: lint
lint: staticcheck ## gofmt, go vet and staticcheck in all modules
	@echo "==> gofmt"
	@unformatted=$$(find . -name node_modules -prune -o -path './.*' -prune -o -name '*.go' -print0 | xargs -0 gofmt -l); \
		if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w:"; echo "$$unformatted"; exit 1; fi
	@for module in $(MODULES); do \
		echo "==> go vet and staticcheck in $$module"; \
		go -C "$$module" vet ./...; \
		(cd "$$module" && $(STATICCHECK) ./...); \
	done
	@echo "==> go vet and staticcheck of what is built with crash points"
	@go vet -tags=crashpoints ./registry/... && $(STATICCHECK) -tags=crashpoints ./registry/...

# The tool lines are in integration/go.mod alone, so that the product's own
# requirements stay free of them; a binary reaches the other modules. Always
# asked for, because a new Go needs it built anew; Go's cache answers.
.PHONY: staticcheck
staticcheck:
	@go -C integration build -o $(STATICCHECK) honnef.co/go/tools/cmd/staticcheck

.PHONY: node
node: $(INSTALLED)

$(INSTALLED): %/node_modules/.package-lock.json: %/package-lock.json
	@echo "==> npm ci in $*"
	@cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: bench
bench: ## measure the gateway under load
	@go -C integration run ./cmd/bench

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (1m)
	@for module in $(MODULES); do \
		find "$$module" -name node_modules -prune -o -path "$$module/?*" -type d -exec test -e '{}/go.mod' ';' -prune -o -name '*_test.go' -print0 | sort -z \
		| { xargs -0 grep -HoE '^func Fuzz[A-Za-z0-9_]*' || true; } \
		| while IFS=: read -r file target; do \
			target=$${target#func }; package=./$$(dirname "$${file#"$$module"/}"); \
			echo "==> $$target in $$module, $$package"; \
			go -C "$$module" test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) "$$package" </dev/null; \
		done; \
	done

.PHONY: clean
clean: ## remove what was built and fetched into this folder
	@rm -rf caddy .cache .demo $(NPM:%=%/node_modules)
