# How the checks say what they found. To be sourced.
# shellcheck shell=bash

failures=0
good() { printf 'ok   %s\n' "$1"; }
bad() {
	printf 'FAIL %s\n' "$1"
	failures=$((failures + 1))
}
skip() { printf '*** NOT TESTED: %s ***\n' "$1" >&2; }
# Not as the condition of an if: a function would then go on behind its first failure.
run() {
	set +e
	said=$(
		set -e
		"$@" 2>&1
	)
	status=$?
	set -e
}
# check NAME COMMAND...: the command must succeed; what it said is shown where it does not.
check() {
	local name=$1 said status
	shift
	run "$@"
	if [ "$status" -eq 0 ]; then good "$name"; else
		printf '%s\n' "$said" | tail -n 40
		bad "$name"
	fi
}
# refused NAME WORDS COMMAND...: the command must fail, and say the words.
refused() {
	local name=$1 words=$2 said status
	shift 2
	run "$@"
	if [ "$status" -eq 0 ] || [[ $said != *"$words"* ]]; then
		printf 'expected a refusal that says: %s\n%s\n' "$words" "$said" | tail -n 40
		bad "$name"
	else
		good "$name"
	fi
}
