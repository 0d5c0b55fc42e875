#!/usr/bin/env bash
# Buildroot calls this with the root file system that it has put together, and the folder of the board: it becomes that of a
# box in the same way as every other image's. buildroot/build sets the variables.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
target=$1 board=$(basename "$2")

"$here/../image/build/keep-modules" "$target"
"$here/../image/build/finish-tree" "$target" "$board" "${VARIANT:-production}" "$ASSAYGATE_IMAGE_VERSION" "$RAUC_KEYRING"
"$here/../image/build/check-tree" "$target" "${VARIANT:-production}" ${ASSAYGATE_RELEASE:+release}
