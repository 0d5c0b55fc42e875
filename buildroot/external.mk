include $(sort $(wildcard $(BR2_EXTERNAL_ASSAYGATE_PATH)/package/*/*.mk))
