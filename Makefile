# Needs Go and make. `make test` also uses what it finds: Docker, namespaces,
# Node.js, a C compiler for the race detector. SWAPINIT_TEST_REQUIRE="docker
# namespaces" turns what cannot run here from a skip into a failure.

GO ?= go

# Static, stripped, and the same bytes on every machine. An init is small before
# it is fast: without inlining (-l), with functions packed more closely, and with
# the smaller of Go's two garbage collectors (the other is for large heaps), the
# binary is a tenth smaller. Dockerfile.example has the same flags.
BIN ?= bin/swapinit
VERSION ?= devel
# What `--version` prints beside it, for a release `git rev-parse HEAD`. Not asked of git
# here: the same source gives the same bytes, in a clone and unpacked from an archive.
COMMIT ?= unknown
FLAGS = -trimpath -buildvcs=false -gcflags=all=-l -ldflags "-s -w -buildid= -funcalign=1 -X main.version=$(VERSION) -X main.commit=$(COMMIT)"
BUILD = CGO_ENABLED=0 GOEXPERIMENT=nogreenteagc $(GO) build $(FLAGS)

# What the tests in test/ build and run by themselves is unknown to the cache of
# test results, so nothing comes from there.
#
# Every wait in a test has an end of its own; the timeout is for a test that hangs, on
# a machine of which others use most.
TEST_FLAGS ?= -count=1 -timeout 3h

# The race detector needs cgo. The tiers in test/ run the released binary, in
# which it is not.
RACE_PACKAGES = ./swap/... ./signals/... ./reaper/... ./init/... ./internal/...
CC_FOUND := $(shell command -v $$($(GO) env CC) 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run build test race bench mutants picture lint clean

help: ## print this list
	@echo "make targets:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST)

run: build ## a real server under swapinit as PID 1, load from outside, swaps
	$(GO) run ./test/demo

build: ## bin/swapinit
	$(BUILD) -o $(BIN) ./cmd/swapinit

test: race ## all tests
	$(GO) vet ./...
	$(GO) test $(TEST_FLAGS) ./...

race: ## the packages' own tests under the race detector
ifeq ($(CC_FOUND),)
	@echo "no C compiler, so no race detector: the race tests are left out"
else
	CGO_ENABLED=1 $(GO) test -race -timeout 3h $(RACE_PACKAGES)
endif

bench: build ## measure against the other inits that are installed
	$(GO) run ./test/bench

mutants: ## known faults, each of which a test has to notice; takes half an hour
	$(GO) run ./test/mutants

picture: ## docs/img/swap.svg, from a real run
	$(GO) run ./test/picture -record

lint: ## format, vet, and the rules of this repository
	@unformatted="$$("$$($(GO) env GOROOT)/bin/gofmt" -l .)"; if [ -n "$$unformatted" ]; then echo "gofmt -w:" $$unformatted; exit 1; fi
	$(GO) vet ./...
	$(GO) test -count=1 ./test/lint

clean: ## remove what build made
	rm -rf bin
