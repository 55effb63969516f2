#!/bin/sh
# install.sh DESTDIR PREFIX BIN | install.sh --remove DESTDIR PREFIX
# Programs go to PREFIX/lib/outpost, the commands people type are links in
# PREFIX/sbin. Users are made when installing into the running system as root.
set -eu

users="outpost-in outpost-q outpost-run outpost-net"
commands="outpost sendmail mailq newaliases"
root=$(dirname "$0")/..

if [ "$1" = --remove ]; then
	dest=$2 prefix=$3
	for c in $commands; do rm -f "$dest$prefix/sbin/$c"; done
	rm -rf "$dest$prefix/lib/outpost" "$dest$prefix/share/outpost"
	for page in "$root"/man/*; do
		name=${page##*/}
		rm -f "$dest$prefix/share/man/man${name##*.}/$name"
	done
	rm -f "$dest/etc/systemd/system/outpost.service"
	echo "kept: /etc/outpost, /var/spool/outpost and the users $users"
	exit 0
fi

dest=$1 prefix=$2 bin=$3
install -d "$dest$prefix/lib/outpost" "$dest$prefix/sbin" "$dest/etc/outpost"
for program in "$bin"/outpost*; do
	[ -L "$program" ] || install -m 755 "$program" "$dest$prefix/lib/outpost/"
done
ln -sf ../lib/outpost/outpost "$dest$prefix/sbin/outpost"
ln -sf ../lib/outpost/outpost-inject "$dest$prefix/sbin/sendmail"
ln -sf ../lib/outpost/outpost-inject "$dest$prefix/sbin/newaliases"
ln -sf ../lib/outpost/outpost-queue "$dest$prefix/sbin/mailq"
for page in "$root"/man/*; do
	name=${page##*/}
	install -d "$dest$prefix/share/man/man${name##*.}"
	install -m 644 "$page" "$dest$prefix/share/man/man${name##*.}/"
done
install -d "$dest$prefix/share/outpost"
install -m 644 "$root"/conf-templates/* "$dest$prefix/share/outpost/"
[ -e "$dest/etc/outpost/outpost.conf" ] ||
	: >"$dest/etc/outpost/outpost.conf" # empty works
install -d "$dest/etc/systemd/system"
cat >"$dest/etc/systemd/system/outpost.service" <<UNIT
[Unit]
Description=Outpost mail server (outgoing mail)
Documentation=man:outpost(8)
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart=$prefix/sbin/outpost run
ExecReload=/bin/kill -HUP \$MAINPID
KillMode=mixed
TimeoutStopSec=60
Restart=on-failure
RuntimeDirectory=outpost

[Install]
WantedBy=multi-user.target
UNIT
if [ -z "$dest" ] && [ "$(id -u)" -eq 0 ]; then
	for user in $users; do
		id "$user" >/dev/null 2>&1 || useradd --system --no-create-home \
			--home-dir /nonexistent --shell /usr/sbin/nologin "$user"
	done
fi
