#!/bin/sh
# Install what building, testing and linting need (Debian 12).
# --build: only what the build needs.
set -eu

build="gcc make pkg-config python3 libc6-dev libssl-dev libldns-dev
liblmdb-dev libconfuse-dev libseccomp-dev libbsd-dev libidn2-dev
libjansson-dev libcurl4-openssl-dev zlib1g-dev"
test="libcmocka-dev nsd unbound ldnsutils swaks s-nail msmtp git git-email libmailtools-perl
openssl python3-yaml dovecot-core dovecot-submissiond
dnsutils iproute2 tzdata ca-certificates"
lint="clang-format clang-tidy cppcheck mandoc"

packages=$build
[ "${1:-}" = --build ] || packages="$build $test $lint"

missing=
for package in $packages; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
		grep -q 'install ok installed' || missing="$missing $package"
done
if [ -z "$missing" ]; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "missing packages:$missing" >&2
	echo "install them: sudo apt-get install$missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Services must not start by themselves: the tests run their own.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	made=$policy
fi
trap '[ -z "$made" ] || rm -f "$made"' EXIT
apt-get update -q
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing
