# Which of the two systems starts. U-Boot runs this from the boot partition, which is never written after flashing; all
# that changes are three variables, in the words of RAUC: BOOT_ORDER, and how many starts each system has left. RAUC gives
# a system new ones when it is known to be good.
#
# @CONSOLE@ is filled in when the image is made.

test -n "${BOOT_ORDER}" || setenv BOOT_ORDER "A B"
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 3
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 3

# A box on which no system has a start left is not given up: "anew" gives both theirs back. The order stays, so that the
# system that fell back does not come before the one that took its place; what it does not name comes last.
for slot in ${BOOT_ORDER} anew ${BOOT_ORDER} A B; do
	left=0
	if test "${slot}" = anew; then
		echo "ASSAYGATE-BOOT: no slot could be started, beginning anew"
		setenv BOOT_A_LEFT 3
		setenv BOOT_B_LEFT 3
	elif test "${slot}" = A; then
		left=${BOOT_A_LEFT}
		label=rootfs-a
	elif test "${slot}" = B; then
		left=${BOOT_B_LEFT}
		label=rootfs-b
	fi
	if itest ${left} -gt 0; then
		# Before the attempt, so that one that ends with the power counts too.
		setexpr BOOT_${slot}_LEFT ${left} - 1
		saveenv
		echo "ASSAYGATE-BOOT: slot ${slot} order=${BOOT_ORDER} A=${BOOT_A_LEFT} B=${BOOT_B_LEFT}"
		setenv part
		setenv root
		part number mmc 0 ${label} part && part uuid mmc 0:${part} root
		# gpt: Linux too goes by the table's copy where the first is torn. A root that does not appear is an attempt
		# that failed.
		setenv bootargs "gpt rauc.slot=${slot} root=PARTUUID=${root} ro rootwait=60 panic=5 quiet loglevel=4 @CONSOLE@"
		if test -n "${root}" && load mmc 0:${part} ${kernel_addr_r} boot/Image; then
			# A kernel that needs one has it beside itself.
			if size mmc 0:${part} boot/initrd; then
				load mmc 0:${part} ${ramdisk_addr_r} boot/initrd && booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}
			else
				booti ${kernel_addr_r} - ${fdt_addr}
			fi
		fi
		echo "ASSAYGATE-BOOT: slot ${slot} cannot be loaded"
	fi
done
