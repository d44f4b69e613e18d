# Bare "make" lists what there is. Everything works on a fresh clone with Go and a
# C++ compiler, which is installed where that may be; tests that compare with foreign
# tools are skipped where those are missing.

SHELL   := /bin/bash
GO      ?= go
BIN     := bin/playmeter
DATA    ?= ./playmeter-data
FUZZTIME ?= 10s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
RACE    := ./accounting ./bucket ./crypto ./intake/... ./reporter ./statistics ./web ./cmd/...

.DEFAULT_GOAL := help
.PHONY: help run build test test-short test-long test-s3 test-e2e screenshots test-race bench fuzz lint tools cc clean vendor

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: build ## build, start the daemon, make a sample month, show a report (Ctrl-C ends it)
	@$(BIN) demo --serve --data-dir $(DATA)

build: cc ## build bin/playmeter
	@mkdir -p bin
	$(GO) build -buildvcs=auto -ldflags '-s -w' -o $(BIN) ./cmd/playmeter

test: tools cc ## everything that must pass
	$(GO) vet ./...
	$(GO) test -p 2 -timeout 30m ./...

test-short: ## the quick tests: no stories, no killed daemons
	$(GO) test -short -p 2 -timeout 10m ./...

test-long: tools cc ## also what takes long: many more kills, larger worlds
	PLAYMETER_LONG=1 $(GO) test -p 2 -timeout 90m ./...

test-s3: TOOLS += ceph-mon:ceph-mon ceph-osd:ceph-osd radosgw:radosgw ceph-authtool:ceph-common
test-s3: tools ## the bucket and permission tests against versitygw, MinIO and Ceph (built or installed the first time)
	PLAYMETER_TEST_S3=1 $(GO) test -timeout 30m -run 'Conform' -v ./bucket
	PLAYMETER_TEST_S3=1 $(GO) test -timeout 30m -v ./bucket/internal/servers

test-e2e screenshots: TOOLS := ffmpeg:ffmpeg nginx:nginx-light chromium:chromium node:nodejs npm:npm
test-e2e: tools cc bin/e2e/hls.js bin/e2e/axe-core ## a real player watches real video, and a real browser looks at every page
	PLAYMETER_E2E=1 $(GO) test -timeout 20m -count 1 -v -run '^TestPlayback$$|^TestPages$$' ./cmd/playmeter

screenshots: tools cc bin/e2e/axe-core ## pictures of every page, in bin/screenshots
	@rm -rf bin/screenshots
	PLAYMETER_E2E=1 PLAYMETER_SCREENSHOTS=$(CURDIR)/bin/screenshots $(GO) test -timeout 20m -count 1 -run '^TestScreenshots$$' ./cmd/playmeter

# The player and axe-core, at the versions and with the digests that are named beside the tests.
PLAYBACK := cmd/playmeter/testdata/playback
PAGES    := cmd/playmeter/testdata/pages
bin/e2e/hls.js: $(PLAYBACK)/package.json $(PLAYBACK)/package-lock.json | tools
	@mkdir -p $(@D) && cp $^ $(@D)
	@if (cd $(@D) && npm ci --ignore-scripts --silent) >/dev/null 2>&1; then touch $@; \
	  else echo "note: could not fetch hls.js; the test of a playback is skipped"; fi
bin/e2e/axe-core: $(PAGES)/package.json $(PAGES)/package-lock.json | tools
	@mkdir -p $(@D)/pages && cp $^ $(@D)/pages
	@if (cd $(@D)/pages && npm ci --ignore-scripts --silent) >/dev/null 2>&1; then touch $@; \
	  else echo "note: could not fetch axe-core; the tests of the pages are skipped"; fi

# What the pages take from others, at the versions and with the digests that are named in web/assets/vendor. The map is made of its
# atlas by a test; another one compares all of it with the digests of what was looked at.
vendor: ## fetch the pages' scripts and map anew (needs npm)
	@mkdir -p bin/vendor && cp web/assets/vendor/package.json web/assets/vendor/package-lock.json bin/vendor
	cd bin/vendor && npm ci --ignore-scripts --silent
	cp bin/vendor/node_modules/htmx.org/dist/htmx.min.js bin/vendor/node_modules/echarts/dist/echarts.min.js web/assets/static/
	$(GO) test -count 1 -run '^TestWorldIsMadeOfItsAtlas$$' ./web -args -atlas $(CURDIR)/bin/vendor/node_modules/world-atlas/countries-110m.json
	$(GO) test -count 1 -run '^TestVendoredFilesAreTheirs$$|^TestWorldHasTheCountries$$' ./web

test-race: cc ## the race detector where goroutines meet
	$(GO) test -race -short -p 2 -timeout 45m $(RACE)

bench: cc ## the benchmarks, each once through
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

fuzz: ## each fuzz test for FUZZTIME (10s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for name in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$name"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$pkg; \
	  done; done

lint: ## gofmt, vet, staticcheck
	@bad=$$(gofmt -l $$(find . -name '*.go' -not -path './.git/*')); if [ -n "$$bad" ]; then echo "gofmt -w:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

# Foreign programs that some tests use. Never a reason to fail: without them
# those tests are skipped and say so.
TOOLS := age:age s3cmd:s3cmd ssh-keygen:openssh-client strace:strace
tools:
	@missing=; for t in $(TOOLS); do command -v $${t%%:*} >/dev/null || missing="$$missing $${t##*:}"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; } >/dev/null 2>&1 \
	      || echo "note: could not install$$missing; the tests that use them are skipped"; \
	  else echo "note: not installed:$$missing; the tests that use them are skipped"; fi; fi

# DuckDB, the database of the statistics pages and the tests' second opinion, is linked in as C++.
cc:
	@cc=$$($(GO) env CC); command -v $$cc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q gcc g++; \
	  else echo "a C compiler ($$cc) is needed: install gcc and g++"; exit 1; fi; }

clean: ## remove what was built (never playmeter-data)
	rm -rf bin
	find . -name '*.test' -not -path './.git/*' -type f -delete
