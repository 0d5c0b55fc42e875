#!/usr/bin/env bash
# Buildroot calls this with the folder of what it has made, and the folder of the board: a card and a bundle are made of it as
# of every other image. buildroot/build sets the variables.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
scripts=$here/../image/build
made=$1 board=$(basename "$2")
variant=${VARIANT:-production}
compatible=assaygate-$board name=assaygate-$board-$ASSAYGATE_IMAGE_VERSION
if [ "$variant" = debug ]; then
	compatible=assaygate-debug-$board name=assaygate-DEBUG-$board-$ASSAYGATE_IMAGE_VERSION
fi

boot=$(mktemp -d)
trap 'rm -rf "$boot"' EXIT
# A Raspberry Pi loads its firmware, a device tree and U-Boot from the FAT. A virtual machine is given U-Boot as its firmware.
if [ -d "$made/rpi-firmware" ]; then
	cp -r "$made"/rpi-firmware/. "$made"/*.dtb "$made/u-boot.bin" "$boot/"
	rm -f "$boot/cmdline.txt"
fi
# Last, so that the firmware's own config.txt does not stay.
"$scripts/boot-files" "$board" "$variant" "$boot"
"$scripts/disk" "$boot" "$made/rootfs.squashfs" "$made/$name.img"
"$scripts/bundle" "$compatible" "$ASSAYGATE_IMAGE_VERSION" "$made/rootfs.squashfs" "$RAUC_CERT" "$RAUC_KEY" "$made/$name.raucb"
