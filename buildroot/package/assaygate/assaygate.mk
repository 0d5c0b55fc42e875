################################################################################
#
# assaygate
#
################################################################################

# external.mk says where the source is, and what release.mk stamps into it.
ASSAYGATE_VERSION = $(or $(STAMP_VERSION),not-yet-unpacked)
ASSAYGATE_COMMIT = $(STAMP_COMMIT)
ASSAYGATE_EPOCH = $(STAMP_EPOCH)
ASSAYGATE_SITE = $(ASSAYGATE_TREE)
ASSAYGATE_SITE_METHOD = local
ASSAYGATE_LICENSE = Apache-2.0
ASSAYGATE_LICENSE_FILES = LICENSE LICENSES-of-modules
ASSAYGATE_GOMOD = github.com/assaygate/assaygate
ASSAYGATE_BUILD_TARGETS = cmd/assaygate
# Stands behind what Buildroot sets itself and so wins: the program needs no C library.
ASSAYGATE_GO_ENV += CGO_ENABLED=0

$(eval $(golang-package))
