################################################################################
#
# assaygate
#
################################################################################

# The unpacked source archive of "make dist", with its modules in vendor/, so
# that nothing is downloaded. "make image" unpacks it there.
ASSAYGATE_TREE ?= $(call qstrip,$(BR2_EXTERNAL_ASSAYGATE_PATH))/../dist/buildroot/source
-include $(ASSAYGATE_TREE)/stamp.mk
ASSAYGATE_COMMIT = $(STAMP_COMMIT)
ASSAYGATE_EPOCH = $(STAMP_EPOCH)
include $(call qstrip,$(BR2_EXTERNAL_ASSAYGATE_PATH))/../release.mk

ASSAYGATE_VERSION = $(or $(STAMP_VERSION),unpacked-by-make-image)
ASSAYGATE_SITE = $(ASSAYGATE_TREE)
ASSAYGATE_SITE_METHOD = local
ASSAYGATE_LICENSE = Apache-2.0
ASSAYGATE_LICENSE_FILES = LICENSE LICENSES-of-modules
ASSAYGATE_GOMOD = github.com/assaygate/assaygate
ASSAYGATE_BUILD_TARGETS = cmd/assaygate
# Stands behind what Buildroot sets itself and so wins: the program needs no C library.
ASSAYGATE_GO_ENV = CGO_ENABLED=0

# The number of the user is said in the overlay.
ASSAYGATE_USER_ID = $(shell awk '$$1 == "u" && $$2 == "assaygate" { print $$3 }' \
	$(call qstrip,$(BR2_EXTERNAL_ASSAYGATE_PATH))/../image/rootfs-overlay/usr/lib/sysusers.d/assaygate.conf)
define ASSAYGATE_USERS
	assaygate $(ASSAYGATE_USER_ID) assaygate $(ASSAYGATE_USER_ID) * - - dialout Assaygate gateway
endef

$(eval $(golang-package))
