# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What tools/quickstart and tools/test share: is this system one that we support, and are the packages
# there? To be sourced. Every refusal says what is missing and what to do, and exits with 1.

readonly SUPPORTED="Debian 12, Debian 13 and Ubuntu 24.04 on x86-64, with a kernel of 5.10 or later"
readonly BUILD_PACKAGES=(
	gcc libc6-dev make cmake ninja-build pkg-config clang llvm libbpf-dev libelf-dev libdw-dev libdebuginfod-dev
	libiberty-dev liblzma-dev zlib1g-dev libprotobuf-c-dev protobuf-c-compiler libcurl4-openssl-dev libjansson-dev
	libmicrohttpd-dev libyaml-dev libsystemd-dev libcap-ng-dev libseccomp-dev uthash-dev python3
)

say() {
	printf '== %s\n' "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	shift
	(($# == 0)) || printf '    %s\n' "$@" >&2
	exit 1
}

require_root() {
	((EUID == 0)) || die "needs root: BPF programs are loaded, packages installed" \
		"run: sudo $0"
}

# Sets DISTRO to debian or ubuntu.
require_distribution() {
	local id="" version=""
	if [[ -r /etc/os-release ]]; then
		# shellcheck source=/dev/null
		id=$(. /etc/os-release && echo "${ID-}")
		# shellcheck source=/dev/null
		version=$(. /etc/os-release && echo "${VERSION_ID-}")
	fi
	case "$(uname -s) $(uname -m) $id $version" in
	"Linux x86_64 debian 12" | "Linux x86_64 debian 13") DISTRO=debian ;;
	"Linux x86_64 ubuntu 24.04") DISTRO=ubuntu ;;
	*)
		die "this is $(uname -sm), ${id:-an unnamed distribution} ${version:-without a version}" \
			"supported: $SUPPORTED" \
			"elsewhere, install what these Debian packages hold, and bpftool:" \
			"  ${BUILD_PACKAGES[*]}" \
			"then build by hand: cmake -S . -B build -G Ninja -DCS_TESTS=OFF && cmake --build build"
		;;
	esac
}

require_kernel() {
	local release major minor
	release=$(uname -r)
	IFS=.- read -r major minor _ <<<"$release"
	((major > 5 || (major == 5 && minor >= 10))) ||
		die "the kernel is $release; BPF ring buffers and CO-RE as used here need 5.10 or later"
	[[ -r /sys/kernel/btf/vmlinux ]] ||
		die "/sys/kernel/btf/vmlinux is missing, so BPF programs cannot be fitted to this kernel" \
			"boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (all supported distributions' are)"
}

installed() {
	[[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# install_packages PACKAGE...: those that are not there yet.
install_packages() {
	local package
	local -a missing=()
	for package in "$@"; do
		installed "$package" || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update || die "apt-get update failed" "see its message above; is there a network?"
	apt-get -q install -y --no-install-recommends "${missing[@]}" ||
		die "apt-get could not install: ${missing[*]}" "see its message above"
}

# Ubuntu's /usr/sbin/bpftool is a wrapper that insists on the tools of the running kernel, which need
# not exist (a container, a cloud kernel). Any real bpftool can generate a skeleton: put one first in PATH.
require_bpftool() {
	local found
	PATH=$PATH:/usr/sbin
	! bpftool version >/dev/null 2>&1 || return 0
	if [[ $DISTRO == debian ]]; then
		install_packages bpftool
	else
		install_packages linux-tools-common linux-tools-generic
	fi
	! bpftool version >/dev/null 2>&1 || return 0
	for found in /usr/lib/linux-tools*/bpftool /usr/lib/linux-tools/*/bpftool; do
		if "$found" version >/dev/null 2>&1; then
			PATH=${found%/*}:$PATH
			return 0
		fi
	done
	die "no working bpftool" "looked in PATH and below /usr/lib/linux-tools*"
}

# Files made by root belong to the user behind sudo, so that the next build without sudo works.
give_to_user() {
	[[ -z ${SUDO_UID-} || -z ${SUDO_GID-} ]] || chown -R "$SUDO_UID:$SUDO_GID" "$@"
}

# Put before a command to run it as the user behind sudo; the command keeps the pid.
# shellcheck disable=SC2034 # used by the scripts that source this file
{
	AS_USER=()
	((EUID != 0 || ${SUDO_UID:-0} == 0)) ||
		AS_USER=(setpriv "--reuid=$SUDO_UID" "--regid=${SUDO_GID:-$SUDO_UID}" --init-groups --)
}
