# The unpacked source archive of "make dist", with its modules in vendor/, so that nothing is downloaded. "make image"
# unpacks it there.
ASSAYGATE_TREE ?= $(BR2_EXTERNAL_ASSAYGATE_PATH)/../dist/buildroot/source
# Included here, for a package is named after the file that was read last.
-include $(ASSAYGATE_TREE)/stamp.mk
include $(BR2_EXTERNAL_ASSAYGATE_PATH)/../.ci/release.mk

include $(sort $(wildcard $(BR2_EXTERNAL_ASSAYGATE_PATH)/package/*/*.mk))

# U-Boot keeps the list of variables that the card may change in a header.
define ASSAYGATE_UBOOT_ENV_FLAGS
	$(BR2_EXTERNAL_ASSAYGATE_PATH)/../image/build/uboot-env-flags $(@D)
endef
UBOOT_POST_PATCH_HOOKS += ASSAYGATE_UBOOT_ENV_FLAGS
