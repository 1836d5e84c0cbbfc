# Needs Go and make. `make test` also uses what it finds: Docker, namespaces,
# Node.js, zsh, fish, mandoc, groff, a C compiler for the race detector.
# SWAPINIT_TEST_REQUIRE="docker namespaces tools" turns what cannot run here from a
# skip into a failure.

GO ?= go

# Static, stripped, and the same bytes on every machine. An init is small before
# it is fast: without inlining (-l), with functions packed more closely, and with
# the smaller of Go's two garbage collectors (the other is for large heaps), the
# binary is a tenth smaller. The runtime makes room in each thread for the stacks of
# profiles, which nobody takes here: profstackdepth=0 saves 2 KiB and their page faults
# each. The linker's setting takes the place of the directives in cmd/swapinit/main.go, so
# they stand there again. Dockerfile.example has the same flags.
BIN ?= bin/swapinit
# What `--version` prints. By default it is what cmd/swapinit/main.go has, so that
# `go install` and a build without make say it, too; the commit is not asked of git: the
# same source gives the same bytes, in a clone and unpacked from an archive.
VERSION ?=
COMMIT ?=
NAMES = $(if $(VERSION), -X main.version=$(VERSION))$(if $(COMMIT), -X main.commit=$(COMMIT))
FLAGS = -trimpath -buildvcs=false -gcflags=all=-l -ldflags "-s -w -buildid= -funcalign=1 -X runtime.godebugDefault=containermaxprocs=0,updatemaxprocs=0,profstackdepth=0$(NAMES)"
BUILD = CGO_ENABLED=0 GOEXPERIMENT=nogreenteagc $(GO) build $(FLAGS)

# What the tests in test/ build and run by themselves is unknown to the cache of
# test results, so nothing comes from there.
#
# Every wait in a test has an end of its own; the timeout is for a test that hangs, on
# a machine of which others use most.
TEST_FLAGS ?= -count=1 -timeout 3h

# The paths are those of a package: with the default docker-init is where
# docs/engine-init.md and daemon.json expect it.
PREFIX ?= /usr
SHARE = $(DESTDIR)$(PREFIX)/share
DOC = $(SHARE)/doc/swapinit
INIT = $(DESTDIR)$(PREFIX)/libexec/swapinit/docker-init

# The race detector needs cgo. The tiers in test/ run the released binary, in
# which it is not.
RACE_PACKAGES = ./swap/... ./signals/... ./reaper/... ./init/... ./internal/...
CC_FOUND := $(shell command -v $$($(GO) env CC) 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run build install dist test more kernels race bench soak mutants picture lint format metrics-page clean

help: ## print this list
	@echo "make targets:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST)

run: build ## a real server under load: restarted, by a shared socket, by swapinit
	$(GO) run ./test/demo

build: ## bin/swapinit
	$(BUILD) -o $(BIN) ./cmd/swapinit

# docker-init is renamed to its place: a container may be starting with it.
install: build ## program, docker-init, man pages, completions; DESTDIR, PREFIX=/usr
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/swapinit
	install -D -m 755 $(BIN) $(INIT).new
	mv -f $(INIT).new $(INIT)
	install -D -m 644 -t $(SHARE)/man/man1 packaging/man/swapinit.1 packaging/man/swapinit-gate.1
	install -D -m 644 -t $(SHARE)/man/man5 packaging/man/swapinit.env.5
	install -D -m 644 packaging/completion/swapinit.bash $(SHARE)/bash-completion/completions/swapinit
	install -D -m 644 -t $(SHARE)/zsh/site-functions packaging/completion/_swapinit
	install -D -m 644 -t $(SHARE)/fish/vendor_completions.d packaging/completion/swapinit.fish
	install -D -m 644 -t $(DOC) NOTICES docs/engine-init.md

dist: ## the files of a release in dist/; VERSION, COMMIT, SOURCE_DATE_EPOCH
	$(GO) run ./packaging/dist -version "$(VERSION)" -commit "$(COMMIT)"

test: format race ## all tests
	$(GO) test $(TEST_FLAGS) ./...
	cd test/openmetrics && $(GO) test -count=1 ./...

more: build ## the tests that need an image of their own, all of them: half an hour
	SWAPINIT_TEST_MORE=1 $(GO) test $(TEST_FLAGS) -run 'TestCookbook|TestDockerPages|TestDockerfileExample|TestFleet|TestZoo' ./test/e2e

# KERNELS="5.10-amd64 6.1-arm64": only these. PATIENCE: how long one may take.
KERNELS ?= all
PATIENCE ?= 40m

kernels: ## boot older kernels in qemu, with swapinit as their init; KERNELS=6.1-amd64
	SWAPINIT_TEST_KERNELS="$(KERNELS)" $(GO) test $(TEST_FLAGS) -v -run TestKernels ./test/kernels -args -patience $(PATIENCE)

race: ## the packages' own tests under the race detector
ifeq ($(CC_FOUND),)
	@echo "no C compiler, so no race detector: the race tests are left out"
else
	CGO_ENABLED=1 $(GO) test -race -timeout 3h $(RACE_PACKAGES)
endif

bench: build ## measure against the other inits that are installed
	$(GO) run ./test/bench

# SOAK="-time 8h -seed 7 -kind gate"; what it does and counts: docs/benchmarks.md.
soak: ## random faults on real containers under load, for an hour; SOAK="-time 8h"
	$(GO) run ./test/soak $(SOAK)

mutants: ## known faults, each of which a test has to notice; takes half an hour
	$(GO) run ./test/mutants

picture: ## docs/img/swap.svg, from a real run
	$(GO) run ./test/picture -record

lint: format ## format, vet, and the rules of this repository
	$(GO) test -count=1 ./test/lint

format: # what has no need of a test
	@unformatted="$$("$$($(GO) env GOROOT)/bin/gofmt" -l .)"; if [ -n "$$unformatted" ]; then echo "gofmt -w:" $$unformatted; exit 1; fi
	$(GO) vet ./...

metrics-page: # the table in docs/metrics.md
	cd test/openmetrics && $(GO) test -count=1 -update ./...

clean: ## remove what build made
	rm -rf bin dist
