# What the scripts beside this have in common. To be sourced.
# shellcheck shell=bash

image=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/assaygate}"
# Tools of a system's administrator, which not everybody's PATH has.
PATH=$PATH:/usr/sbin:/sbin
# Everything that is made is for all to read, whatever the umask of who makes it.
umask 022

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
	say "$@"
	exit 1
}

# need COMMAND...: all of them, or a clear word.
need() {
	local command missing=()
	for command in "$@"; do
		command -v "$command" >/dev/null || missing+=("$command")
	done
	[ ${#missing[@]} -eq 0 ] || die "not here: ${missing[*]} (make deps installs what building an image needs)"
}

# value FILE KEY: the value of a KEY=value line, without its quotes; nothing where there is no such line.
value() { sed -n "s/^$2=//p" "$1" | tail -n 1 | sed -E 's/^"(.*)"$/\1/'; }

# layout KEY: a value of ../layout, which must be there.
layout() {
	local is
	is=$(value "$image/layout" "$1")
	[ -n "$is" ] || die "image/layout has no $1"
	printf '%s\n' "$is"
}

# cached NAME INPUT... -- COMMAND...: runs COMMAND DIR with an empty directory, unless that was done with the same inputs
# before, and prints where the result is. An input is a file, or else a text. What was cut off leaves nothing that counts.
cached() {
	local name=$1 key into work
	shift
	key=$(while [ "$1" != -- ]; do
		if [ -f "$1" ]; then sha256sum <"$1"; else printf '%s\n' "$1"; fi
		shift
	done | sha256sum | cut -c 1-16)
	while [ "$1" != -- ]; do shift; done
	shift
	into=$CACHE/$name-$key
	mkdir -p "$CACHE"
	(
		flock 9
		if [ ! -d "$into" ]; then
			say "making $name"
			work=$CACHE/.unfinished-$name
			rm -rf "$work"
			mkdir "$work"
			# Said outright: within a condition `set -e` is off.
			"$@" "$work" >&2 || exit 1
			mv -T "$work" "$into"
		fi
	) 9>"$CACHE/.lock-$name" || die "$name could not be made"
	printf '%s\n' "$into"
}

# As root of a namespace of one's own, where one is not root anyway.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else unshare --map-root-user "$@"; fi
}
