# The parts of an image that come of Debian, made where they were not yet. To be sourced, after lib.sh.
# shellcheck shell=bash

# shellcheck disable=SC2154 # of lib.sh
debian=$image/build/debian

debian_userland() { cached userland "$debian"/{userland,packages,apt.sh} -- "$debian/userland"; }

debian_kernel() { cached kernel "$debian"/{kernel,modules,init,apt.sh} -- "$debian/kernel"; }

# debian_uboot BOARD
debian_uboot() {
	cached "uboot-$1" "$debian"/{uboot,apt.sh} "$image/build/uboot-env-flags" "$image/boot/uboot.fragment" \
		"$image/boards/$1/uboot.fragment" -- "$debian/uboot" "$1"
}
