# Needs Go, Node.js with npm, and make; everything else is fetched and kept in
# the caches of Go and npm, or in .cache.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := build

# Every Go module of the repository: "." first.
MODULES := $(sort $(patsubst %/,%,$(dir $(shell find . -name node_modules -prune -o -path './.*' -prune -o -name go.mod -print))))
ROOT := $(CURDIR)
STATICCHECK := $(ROOT)/.cache/staticcheck
# Folders with npm packages.
NPM := integration/oidcprovider integration/openidclient
INSTALLED := $(NPM:%=%/node_modules/.package-lock.json)

# How long each fuzz target runs.
FUZZTIME ?= 1m
# More for go test: make test TESTFLAGS='-run TestReload -v'
TESTFLAGS ?=
# A test binary may take this long.
TIMEOUT ?= 60m
# The race detector needs a C compiler on most systems.
RACE := $(if $(shell command -v $$(go env CC)),-race)

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./caddy as xcaddy.json says (default)
	@go -C integration run ./cmd/build

.PHONY: demo
demo: build ## run a bank, a directory and a third-party provider on this machine
	@go -C integration build -o ../.cache/demo ./cmd/demo && exec .cache/demo

.PHONY: test
test: lint node ## lint, then all tests of all modules with the race detector
	@test -d ../shared/spec || echo "left out: answers against the official OpenAPI files, which are not in ../shared/spec" >&2
	@$(if $(RACE),,echo "no C compiler: the tests run without the race detector" >&2)
	@for module in $(MODULES); do \
		echo "==> go test in $$module"; \
		go -C "$$module" test $(RACE) -count=1 -timeout=$(TIMEOUT) $(TESTFLAGS) $$(go -C "$$module" list ./... | grep -v '/integration/\(crash\|interop\)$$'); \
	done
	@$(MAKE) test-interop
	@$(MAKE) test-crash

.PHONY: test-interop
test-interop: node ## every authorization server, every step: a matrix
	@echo "==> go test in integration/interop"
	@go -C integration test $(RACE) -count=1 -timeout=$(TIMEOUT) -v $(TESTFLAGS) ./interop | { grep -v '^=== \|^ *--- PASS' || true; }

# Most of the time of these tests is waiting for leases to end.
.PHONY: test-crash
test-crash: node ## kill the gateway at every step, and at random under load for CRASH_TIME (1m)
	@echo "==> go test in integration/crash"
	@go -C integration test $(RACE) -count=1 -timeout=$(TIMEOUT) -parallel=8 -v $(TESTFLAGS) ./crash | { grep -v '^=== \|^ *--- PASS' || true; }

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
