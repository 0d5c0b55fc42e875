# apt for another architecture, beside that of this system and without changing it: the same sources and the same proxy, but
# lists, packages and state of its own. To be sourced, after lib.sh.
# shellcheck shell=bash

# box_apt_sources: this system's own sources, of Debian and nobody else, with those of source packages.
box_apt_sources() {
	local codename keyring=/usr/share/keyrings/debian-archive-keyring.gpg uri suite component
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && [ "$ID" = debian ] && printf '%s' "$VERSION_CODENAME") ||
		die 'this is no Debian: the QEMU image is put together from packages of the Debian that it is made on'
	# shellcheck disable=SC2016 # apt's own
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		while read -r uri suite component; do
			case $component,$suite in
			main,"$codename" | main,"$codename"-updates | main,"$codename"-security)
				printf '%s [signed-by='$keyring'] '"$uri $suite $component"'\n' deb deb-src
				;;
			esac
		done | sort -u
}

# box_apt DIR: makes DIR a state of apt for arm64 packages, with nothing installed, and points APT_CONFIG there.
box_apt() {
	local dir=$1
	mkdir -p "$dir"/{lists,archives}/partial
	: >"$dir/status"
	box_apt_sources >"$dir/sources.list"
	[ -s "$dir/sources.list" ] || die "apt's configuration names no source of Debian's own packages"
	cat >"$dir/apt.conf" <<-EOF
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::State::extended_states "$dir/extended_states";
		Dir::Cache "$dir";
		Dir::Cache::archives "$dir/archives";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "-";
		APT::Architecture "arm64";
		APT::Architectures { "arm64"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "$(id -un)";
		Acquire::Languages "none";
		Acquire::Retries "3";
	EOF
	export APT_CONFIG=$dir/apt.conf
	apt-get update -qq
}
