# Everything that is done with this tree is a target here; CI calls nothing else.
# `make help` lists them from the comments behind the two hashes.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# A Go from 1.21 on fetches the toolchain that go.mod asks for, but only where
# it may: some distributions and images switch that off.
export GOTOOLCHAIN := auto

# A source archive has no git and says in this file what it was made of.
-include stamp.mk
VERSION ?= $(or $(STAMP_VERSION),$(if $(wildcard .git),$(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null)),development)
COMMIT  ?= $(or $(STAMP_COMMIT),$(if $(wildcard .git),$(shell git rev-parse --short=12 HEAD 2>/dev/null)),unknown)
SOURCE_DATE_EPOCH ?= $(or $(STAMP_EPOCH),$(if $(wildcard .git),$(shell git log -1 --format=%ct 2>/dev/null)))
ASSAYGATE_VERSION = $(VERSION)
ASSAYGATE_COMMIT  = $(COMMIT)
ASSAYGATE_EPOCH   = $(SOURCE_DATE_EPOCH)
include .ci/release.mk

PACKAGE  := ./cmd/assaygate
TAGS     := -tags $(ASSAYGATE_TAGS)
STAMP    := $(ASSAYGATE_STAMP)
RELEASE  := $(TAGS) -trimpath -buildvcs=false -ldflags '$(ASSAYGATE_LDFLAGS)' $(ASSAYGATE_BUILD_OPTS)
# What a release is built for: operating system, architecture and, of ARM, its version.
PLATFORMS := linux-arm64 linux-arm-6 linux-arm-7 linux-amd64 windows-amd64 darwin-arm64
# In bytes: a box keeps two images on its card and fetches new ones over thin lines; a computer has room.
MAX_BOX      := 23068672
MAX_COMPUTER := 25165824
# What runs as ARMv6 under emulation: the code that must behave the same on the smallest box.
ARM_PACKAGES := ./protocols/... ./envelope/...
ARM_RUNNER   ?= qemu-arm-static -cpu arm1176
FUZZTIME     ?= 5s
# Where clients and servers that nobody here wrote are installed to.
PEERS        ?= $(CURDIR)/dist/peers
LINT         := $(GO) tool -modfile=.lint/go.mod

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## build and run the demo: three simulated instruments against this machine
	bin/assaygate run --demo

.PHONY: build
build: go-check ## build for this machine, to bin/assaygate
	$(GO) build $(TAGS) -trimpath -buildvcs=false -ldflags '$(STAMP)' -o bin/assaygate $(PACKAGE)

.PHONY: test
test: go-check ## all tests that need no emulator or browser, with the race detector where there is a C compiler
	@if command -v "$$($(GO) env CC)" >/dev/null; then \
		set -x; CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...; \
	else \
		echo '*** no C compiler here: these tests run WITHOUT the race detector ***' >&2; \
		status=0; $(GO) test -timeout 30m ./... || status=$$?; \
		echo '*** these tests ran WITHOUT the race detector: install gcc, and run them again ***' >&2; \
		exit $$status; \
	fi

.PHONY: lint
lint: go-check ## vet, staticcheck, gofumpt, tidy go.mod, shellcheck
	$(GO) vet ./...
	$(LINT) staticcheck -checks all ./...
	@unformatted=$$($(LINT) gofumpt -l .); \
	if [ -n "$$unformatted" ]; then \
		printf 'not formatted (make fmt):\n%s\n' "$$unformatted" >&2; exit 1; \
	fi
	$(GO) mod tidy -diff
	@if command -v shellcheck >/dev/null; then \
		set -x; shellcheck -x -P SCRIPTDIR $$(grep -rlE '^#!(/usr/bin/env bash|/bin/sh)' .ci image buildroot) \
			image/build/lib.sh image/build/debian/apt.sh buildroot/test/report.sh; \
	else \
		echo '*** shellcheck is not here (make deps): shell scripts are NOT linted ***' >&2; \
	fi

.PHONY: fmt
fmt: go-check ## format the Go files as lint wants them
	$(LINT) gofumpt -w .

.PHONY: cross
cross: go-check ## static binaries for every box, and the laptop tools, to dist/
	@mkdir -p dist
	@for platform in $(PLATFORMS); do \
		IFS=- read -r os arch arm <<<"$$platform"; \
		file=dist/assaygate-$$os-$$arch$${arm:+v$$arm}; max=$(MAX_COMPUTER); \
		case $$platform in linux-arm*) max=$(MAX_BOX) ;; windows*) file+=.exe ;; esac; \
		echo "$$file"; \
		env CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $${arm:+GOARM=$$arm} $(GO) build $(RELEASE) -o $$file $(PACKAGE); \
		.ci/check-binary $$file $$max; \
	done

.PHONY: dist
dist: cross source ## cross, the source archive, and the checksums of both
	cd dist && sha256sum $$(find . -maxdepth 1 -type f -name 'assaygate-*' -printf '%P\n' | sort) > SHA256SUMS && cat SHA256SUMS

SOURCE := dist/assaygate-$(VERSION)-src.tar.gz

.PHONY: source
source: go-check ## the source archive, which builds without a network: tracked files, modules, stamps
	@mkdir -p dist
	@GO='$(GO)' PLATFORMS='$(PLATFORMS)' VERSION='$(VERSION)' COMMIT='$(COMMIT)' SOURCE_DATE_EPOCH='$(SOURCE_DATE_EPOCH)' \
		.ci/source-archive '$(SOURCE)'

.PHONY: size
size: go-check ## what each dependency adds to the arm64 binary
	@mkdir -p dist/size
	@CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build $(RELEASE) -o dist/size/stripped $(PACKAGE)
	@CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build $(TAGS) -trimpath -buildvcs=false -ldflags '$(STAMP)' -o dist/size/symbols $(PACKAGE)
	@GO='$(GO)' .ci/size dist/size/stripped dist/size/symbols

# A test that starts itself again has to do so through TEST_EXEC: the kernel does not run ARM binaries.
.PHONY: test-arm
test-arm: go-check ## protocols, envelope and spool as ARMv6, under qemu-user
	@command -v $(firstword $(ARM_RUNNER)) >/dev/null || { \
		echo '$(firstword $(ARM_RUNNER)) is not here: make deps' >&2; exit 1; }
	TEST_EXEC='$(ARM_RUNNER)' CGO_ENABLED=0 GOOS=linux GOARCH=arm GOARM=6 \
		$(GO) test -timeout 10m -exec '$(ARM_RUNNER)' $(ARM_PACKAGES)

# Each figure is a median of BENCH_COUNT runs. BENCH_KEPT=1000000 fills the large store of BenchmarkKept for real.
BENCH_COUNT ?= 3
BENCH_KEPT  ?= 50000
BENCH = CGO_ENABLED=0 ASSAYGATE='$(CURDIR)/bin/assaygate' ASSAYGATE_PEERS='$(PEERS)' BENCH_KEPT=$(BENCH_KEPT) \
	$(GO) test -run '^$$' -timeout 2h

.PHONY: bench
bench: build ## what issue and promise ask of the speed, measured beside the disk's own: under ten minutes; ends with a table
	.ci/peers '$(PEERS)' medplum simple-hl7 python-hl7
	@mkdir -p dist
	@{ \
		$(BENCH) -bench 'Put$$' -count $(BENCH_COUNT) ./envelope/spool; \
		$(BENCH) -bench 'Reception|PeerServers' -count $(BENCH_COUNT) $(PACKAGE); \
		$(BENCH) -bench Delivery -benchtime 2s -count $(BENCH_COUNT) ./uplink/senaite; \
		$(BENCH) -bench Start -benchtime $(BENCH_COUNT)x $(PACKAGE); \
		$(BENCH) -bench Kept -benchtime 1000x ./envelope/spool; \
	} | tee dist/bench.txt
	@.ci/bench-table dist/bench.txt

.PHONY: bench-all
bench-all: go-check ## every benchmark there is
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: go-check ## every fuzz target for FUZZTIME (5s) each
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' .ci/fuzz

# SOAK=5m, say, soaks for that long instead; SEED=N repeats the random choices of an earlier run.
KILLS ?= 100
SOAK  ?=

.PHONY: soak
soak: go-check ## kill -9 a gateway under load, KILLS (100) times or for SOAK, beside a LIMS with all faults; with a ledger
	KILLS=$(if $(SOAK),,$(KILLS)) SOAK=$(SOAK) $(GO) test -timeout 3h -count 1 -v -run TestSoak $(PACKAGE)

# DOCS=write makes the tables and the plot of docs/fleet-simulation.md anew.
BOXES ?= 1000
DOCS  ?=

.PHONY: test-fleet
test-fleet: go-check ## a week of 1000 boxes against one repository, held to docs/fleet-simulation.md: minutes; BOXES=100, DOCS=write
	FLEET=$(BOXES) FLEET_DOCS=$(DOCS) $(GO) test -timeout 60m -count 1 -v -run '^TestFleet$$' ./image/update/agent

CUTS ?= 500

.PHONY: powercut
powercut: go-check ## cut the store's power at every operation and CUTS (500) times at random, fail its card, flip its bits
	CUTS=$(CUTS) $(GO) test -timeout 60m -count 1 -v -run 'PowerCut|FailingCard|FlippedBit' ./envelope/spool

.PHONY: test-faults
test-faults: go-check ## every fault of the simulator against a gateway, also those that wait for time-outs: two minutes
	FAULTS=all $(GO) test -timeout 10m -count 1 -v -run 'Fault' $(PACKAGE)

.PHONY: test-links
test-links: go-check ## pull network cables, in a network namespace; what takes the kernel half a minute to find
	ASSAYGATE_TEST_LINKS=1 $(GO) test -count 1 -v -run 'Within(2|30)Seconds' ./device/port

PYTHON ?= python3

.PHONY: test-senaite
test-senaite: build ## the reference importer for SENAITE, against stand-ins of SENAITE (needs python3)
	@command -v $(PYTHON) >/dev/null || { \
		echo '$(PYTHON) is not here: install python3, or set PYTHON' >&2; exit 1; }
	ASSAYGATE=$(CURDIR)/bin/assaygate $(PYTHON) -B -m unittest discover -v docs/senaite

# A peer that cannot be installed is said and skipped; with REQUIRE_PEERS=1 it fails.
.PHONY: test-peers
test-peers: go-check ## clients that nobody here wrote, installed to dist/peers, play HL7 and ASTM to the gateway
	.ci/peers '$(PEERS)'
	ASSAYGATE_PEERS='$(PEERS)' $(GO) test -timeout 15m -count 1 -v -run Peers $(PACKAGE)

CHROMIUM ?= chromium
# Where browser tests write pictures of the console: docs/screenshots makes those of the manual anew.
SCREENSHOTS ?=
# Some of them alone, and without the race detector: make test-browser RUN=TestBrowserPageWeight RACE=
RUN  ?= TestBrowser
RACE ?= $(if $(shell command -v "$$($(GO) env CC)"),-race)

.PHONY: test-browser
test-browser: go-check ## drive the console in a real Chromium, with axe-core; SCREENSHOTS=docs/screenshots makes the manual's pictures
	@command -v '$(CHROMIUM)' >/dev/null || { \
		echo '$(CHROMIUM) is not here: make deps, or set CHROMIUM' >&2; exit 1; }
	.ci/peers '$(PEERS)' axe-core
	ASSAYGATE_BROWSER="$$(command -v '$(CHROMIUM)')" ASSAYGATE_PEERS='$(PEERS)' REQUIRE_PEERS=1 \
		ASSAYGATE_SCREENSHOTS='$(if $(SCREENSHOTS),$(abspath $(SCREENSHOTS)))' $(if $(RACE),CGO_ENABLED=1) \
		$(GO) test $(RACE) -timeout 15m -count 1 -v -run '$(RUN)' $(PACKAGE)

PROMTOOL ?= promtool

.PHONY: test-monitoring
test-monitoring: go-check ## the Prometheus rules by their tests, the Grafana dashboard by what a gateway exports
	@command -v '$(PROMTOOL)' >/dev/null || { \
		echo '$(PROMTOOL) is not here: make deps, or set PROMTOOL; it comes with Prometheus' >&2; exit 1; }
	'$(PROMTOOL)' check rules --lint=all --lint-fatal docs/monitoring/assaygate.rules.yml
	'$(PROMTOOL)' test rules docs/monitoring/*.test.yml
	ASSAYGATE_PROMTOOL="$$(realpath "$$(command -v '$(PROMTOOL)')")" \
		$(GO) test -count 1 -v -run 'Monitoring|ManualNames' $(PACKAGE)

.PHONY: test-systemd
test-systemd: go-check ## a deadlock in every loop, under a systemd of its own in a namespace (needs root)
	ASSAYGATE_TEST_SYSTEMD=1 $(GO) test -count 1 -v -run TestSystemdRestarts $(PACKAGE)

.PHONY: test-units
test-units: ## the image's systemd units, udev rules, users and firewall, by the tools that read them on the box
	.ci/test-units

# What a box has, put together for QEMU: see image/README.md. VARIANT=debug has a shell for everybody; OVERLAY is laid over
# the result, and NAME takes the version's place in the files' names.
VARIANT ?= production
OVERLAY ?=
NAME    ?=
IMAGES  ?= $(CURDIR)/dist/image

.PHONY: image-qemu
image-qemu: go-check ## a card with the box's system, for QEMU, to dist/image: VARIANT=debug, VERSION=2, OVERLAY=DIR
	@mkdir -p '$(IMAGES)/bin'
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build $(RELEASE) -o '$(IMAGES)/bin/assaygate-$(VERSION)' $(PACKAGE)
	VERSION='$(VERSION)' BUILD_ID='$(COMMIT)' VARIANT='$(VARIANT)' OVERLAY='$(OVERLAY)' NAME='$(or $(NAME),$(VERSION))' \
		SOURCE_DATE_EPOCH='$(or $(SOURCE_DATE_EPOCH),0)' BINARY='$(IMAGES)/bin/assaygate-$(VERSION)' OUT='$(IMAGES)' \
		RAUC_KEYRING='$(RAUC_KEYRING)' RAUC_CERT='$(RAUC_CERT)' RAUC_KEY='$(RAUC_KEY)' UPDATE_ROOT='$(UPDATE_ROOT)' image/build/image-qemu

# Images made by Buildroot, see docs/building-images.md. What was fetched and what takes long is kept in CACHE.
export CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/assaygate
BOARD ?=
BUILDROOT = VERSION='$(VERSION)' COMMIT='$(COMMIT)' SOURCE_DATE_EPOCH='$(or $(SOURCE_DATE_EPOCH),0)' ARCHIVE='$(CURDIR)/$(SOURCE)' \
	VARIANT='$(VARIANT)' RAUC_KEYRING='$(RAUC_KEYRING)' RAUC_CERT='$(RAUC_CERT)' RAUC_KEY='$(RAUC_KEY)' UPDATE_ROOT='$(UPDATE_ROOT)'

.PHONY: image
image: ## an image for a board, by Buildroot, to dist/buildroot/BOARD: BOARD=raspberrypi4_64; takes hours
	@$(BUILDROOT) buildroot/build --check '$(BOARD)'
	@$(MAKE) source
	@$(BUILDROOT) buildroot/build '$(BOARD)'

.PHONY: release
release: ## every board's image, bundle and list of parts, to dist/release/VERSION: needs RAUC_KEYRING, RAUC_CERT, RAUC_KEY, UPDATE_ROOT
	@$(BUILDROOT) buildroot/release --check
	@$(MAKE) source
	@$(BUILDROOT) buildroot/release

.PHONY: test-buildroot
test-buildroot: source ## what can be known of Buildroot's images without building them, and a part of one built and started
	@$(BUILDROOT) MAX_BOX='$(MAX_BOX)' buildroot/test/run

.PHONY: buildroot-update
buildroot-update: ## write Buildroot's defconfigs and lists of packages anew, after a change of image/boards or buildroot
	buildroot/defconfigs
	buildroot/test/configs --write

# The images that the tests in QEMU need: the one that is sold, the debug image, and three releases for that one, a good one,
# the same that goes out in waves, and, alone, one whose gateway never gets healthy, in three states of a repository. Parts are kept in
# $(CACHE), so only the first time takes long.
IMAGETEST := $(CURDIR)/dist/image-test
TESTIMAGE = $(MAKE) image-qemu IMAGES='$(IMAGETEST)' UPDATE_ROOT='$(IMAGETEST)/updates/public/metadata/1.root.json'
TESTADD   = bin/assaygate update repo add '$(IMAGETEST)/updates' '$(IMAGETEST)/assaygate-DEBUG-qemu_aarch64-$(1).raucb'

.PHONY: test-image-parts
test-image-parts: build
	rm -rf '$(IMAGETEST)'/updates*
	bin/assaygate update repo init '$(IMAGETEST)/updates'
	$(TESTIMAGE) NAME=test VERSION=1.0.0
	$(TESTIMAGE) NAME=test VERSION=1.0.0 VARIANT=debug
	ZSTD_LEVEL=3 $(TESTIMAGE) NAME=update VERSION=1.1.0 VARIANT=debug
	ZSTD_LEVEL=3 $(TESTIMAGE) NAME=waves VERSION=1.1.1 VARIANT=debug
	ZSTD_LEVEL=3 $(TESTIMAGE) NAME=spoilt VERSION=1.2.0 VARIANT=debug OVERLAY='$(CURDIR)/image/imagetest/testdata/spoilt'
	$(call TESTADD,update)
	cp -a '$(IMAGETEST)/updates/public' '$(IMAGETEST)/updates-good'
	$(call TESTADD,waves)
	bin/assaygate update repo wave '$(IMAGETEST)/updates' 1.1.1
	cp -a '$(IMAGETEST)/updates/public' '$(IMAGETEST)/updates-waves'
	bin/assaygate update repo remove '$(IMAGETEST)/updates' 1.1.0
	bin/assaygate update repo remove '$(IMAGETEST)/updates' 1.1.1
	$(call TESTADD,spoilt)
	cp -a '$(IMAGETEST)/updates/public' '$(IMAGETEST)/updates-spoilt'

# RUN=stick, or RUN='stick|kill', runs these cases alone. What the boxes say goes to dist/image-test/logs.
IMAGE_RUN = ASSAYGATE_IMAGE='$(IMAGETEST)/assaygate-qemu_aarch64-test.img' ASSAYGATE_IMAGE_LOGS='$(IMAGETEST)/logs' \
	ASSAYGATE_IMAGE_DEBUG='$(IMAGETEST)/assaygate-DEBUG-qemu_aarch64-test.img' ASSAYGATE_UBOOT='$(IMAGETEST)/u-boot.bin' \
	ASSAYGATE_BUNDLE='$(IMAGETEST)/assaygate-DEBUG-qemu_aarch64-update.raucb' \
	ASSAYGATE_RELEASES='$(IMAGETEST)/updates-good' ASSAYGATE_RELEASES_WAVES='$(IMAGETEST)/updates-waves' \
	ASSAYGATE_RELEASES_SPOILT='$(IMAGETEST)/updates-spoilt' $(GO) test -count 1 -v

.PHONY: test-image
test-image: test-image-parts ## boot the image in QEMU and do to it what happens to boxes: docs/image-tests.md; RUN=update alone
	$(IMAGE_RUN) -timeout 40m -run '^TestImage$$$(if $(filter-out file,$(origin RUN)),/^($(RUN))$$)' ./image/imagetest

# What the boot takes without the gateway.
.PHONY: test-image-masked
test-image-masked: go-check
	$(MAKE) image-qemu IMAGES='$(IMAGETEST)' NAME=masked VARIANT=debug OVERLAY='$(CURDIR)/image/imagetest/testdata/masked'

# Releases that do not start: U-Boot does not take the kernel; the kernel finds no system.
.PHONY: test-image-unbootable
test-image-unbootable: test-image-parts
	ZSTD_LEVEL=3 $(TESTIMAGE) NAME=nokernel VERSION=1.3.0 VARIANT=debug OVERLAY='$(CURDIR)/image/imagetest/testdata/nokernel'
	ZSTD_LEVEL=3 $(TESTIMAGE) NAME=noroot VERSION=1.3.1 VARIANT=debug OVERLAY='$(CURDIR)/image/imagetest/testdata/noroot'
	bin/assaygate update repo remove '$(IMAGETEST)/updates' 1.2.0
	$(call TESTADD,nokernel)
	cp -a '$(IMAGETEST)/updates/public' '$(IMAGETEST)/updates-nokernel'
	bin/assaygate update repo remove '$(IMAGETEST)/updates' 1.3.0
	$(call TESTADD,noroot)
	cp -a '$(IMAGETEST)/updates/public' '$(IMAGETEST)/updates-noroot'

# The device tree of the Raspberry Pi 3 comes with Debian's kernel.
.PHONY: test-image-long
test-image-long: test-image-parts test-image-masked test-image-unbootable ## the long runs of docs/image-tests.md, two hours; RUN=kills alone
	ASSAYGATE_RELEASES_NOKERNEL='$(IMAGETEST)/updates-nokernel' ASSAYGATE_RELEASES_NOROOT='$(IMAGETEST)/updates-noroot' \
		ASSAYGATE_IMAGE_MASKED='$(IMAGETEST)/assaygate-DEBUG-qemu_aarch64-masked.img' ASSAYGATE_PI_DTB="$$(image/imagetest/testdata/pi-dtb)" \
		$(IMAGE_RUN) -timeout 5h -run '^TestLong$$$(if $(filter-out file,$(origin RUN)),/^($(RUN))$$)' ./image/imagetest

.PHONY: test-tree
test-tree: ## one layout for all who read it; nobody gets into an image: each door is planted once and must be found
	image/build/check-layout
	image/build/test-tree

.PHONY: test-uboot
test-uboot: ## which system U-Boot starts, and that neither card nor console makes it do anything else: half a minute, in QEMU
	image/build/test-uboot

.PHONY: deps
deps: ## install what the tests need from the system's packages (Debian, Ubuntu)
	@.ci/deps

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist

# One clear message where there is no Go to begin with. Every target that calls
# Go depends on this.
.PHONY: go-check
go-check:
	@version=$$(GOTOOLCHAIN=local $(GO) version 2>/dev/null | awk '{ sub(/^go/, "", $$3); print $$3 }') || true; \
	IFS=. read -r major minor _ <<<"$$version" || true; \
	minor=$${minor%%[!0-9]*}; \
	if [[ "$$version" == devel* ]]; then exit 0; fi; \
	if [ -z "$$minor" ] || [ "$$major" -lt 1 ] || { [ "$$major" = 1 ] && [ "$$minor" -lt 21 ]; }; then \
		echo "Go 1.21 or newer is needed to build Assaygate; found: $${version:-none}." >&2; \
		echo "Get it from https://go.dev/dl/ (unpack it, put its bin folder first in PATH) and run make again." >&2; \
		echo "From 1.21 on, Go itself fetches the version that go.mod asks for." >&2; \
		exit 1; \
	fi
