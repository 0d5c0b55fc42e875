# How every release is compiled. The Makefile and Buildroot's package both include this, so the names are those that
# Buildroot's Go packages have. Whoever includes it sets ASSAYGATE_VERSION, ASSAYGATE_COMMIT and ASSAYGATE_EPOCH first.

# Nothing that the box talks to needs HTTP/2, which is half a megabyte.
ASSAYGATE_TAGS := nethttpomithttp2
# Stamped into the binary. The time, in seconds of Unix time, is that of the commit, so that a build can be repeated: a
# clock that says less is not set.
ASSAYGATE_STAMP = -X main.version=$(ASSAYGATE_VERSION) -X main.commit=$(ASSAYGATE_COMMIT) -X main.buildTime=$(ASSAYGATE_EPOCH)
ASSAYGATE_LDFLAGS = -s -w $(ASSAYGATE_STAMP)
# Calls stay calls but where time matters: a tenth of the binary.
ASSAYGATE_HOT := runtime/... internal/runtime/... internal/abi internal/bytealg strings bytes strconv slices sync/... unicode/utf8 \
	$(addprefix github.com/assaygate/assaygate/,protocols/... envelope/... device/profile/...) modernc.org/...
ASSAYGATE_BUILD_OPTS = -gcflags=all=-l $(foreach path,$(ASSAYGATE_HOT),-gcflags='$(path)=')
