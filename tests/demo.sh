#!/bin/sh
# The demo: builds, starts a private instance with an embedded receiver, sends
# mail with sendmail and over SMTP, and shows what became of it. Everything
# lives in one folder. Stays up until Ctrl-C, or DEMO_SECONDS seconds.
set -eu
cd "$(dirname "$0")/.."

folder=${DEMO_FOLDER:-$PWD/demo}
smtp=${DEMO_SMTP_PORT:-2525}
sink=${DEMO_SINK_PORT:-2626}
closed=${DEMO_CLOSED_PORT:-2627}

./tests/deps.sh --build
make -s -j2 all bench-tools

bold() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}
run() {
	printf '\033[2m$ %s\033[0m\n' "$*"
	"$@" || true
}

rm -rf "$folder"
mkdir -p "$folder/arrived"
cat >"$folder/outpost.conf" <<CONF
# The demo's configuration: everything below this folder, no port under 1024.
localname = "demo.outpost.example"
dnscheck { guard = off }
postmaster = "postmaster@demo.outpost.example"
spool     = "spool"
runtime   = "run"
log-to    = "outpost.log"
listen "127.0.0.1:$smtp" { }
line "default" { count = 4 }
route "arrives.example" { servers = { "smtp://127.0.0.1:$sink" } }
route "later.example"   { servers = { "smtp://127.0.0.1:$closed" } }
retry { wait = 1m  warn-after = 4h  lifetime = 5d }
CONF
export OUTPOST_CONF="$folder/outpost.conf"

sink_pid='' outpost_pid=''
finish() {
	trap - EXIT INT TERM
	bold "Stopping"
	[ -z "$outpost_pid" ] || kill "$outpost_pid" 2>/dev/null || true
	[ -z "$outpost_pid" ] || wait "$outpost_pid" 2>/dev/null || true
	[ -z "$sink_pid" ] || kill "$sink_pid" 2>/dev/null || true
	echo "Everything the demo made is in $folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

build/bench/smtp_sink --port "$sink" --store "$folder/arrived" \
	>"$folder/receiver.log" 2>&1 &
sink_pid=$!
bin/outpost run >"$folder/ready" 2>"$folder/supervisor.log" &
outpost_pid=$!
tries=0
until grep -q '^outpost: ready' "$folder/ready" 2>/dev/null; do
	tries=$((tries + 1))
	if [ $tries -gt 150 ] || ! kill -0 $outpost_pid 2>/dev/null; then
		echo "outpost did not start:" >&2
		cat "$folder/supervisor.log" "$folder/outpost.log" >&2 || true
		exit 1
	fi
	sleep 0.1
done

bold "1. A program sends with sendmail"
printf 'To: alice@arrives.example\nSubject: Hello from sendmail\n\nIt works.\n' |
	run bin/sendmail -v -t -f me@demo.outpost.example

bold "2. A mail client sends over SMTP (Python's smtplib, port $smtp)"
python3 - "$smtp" <<'PY'
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as client:
    for number in range(1, 4):
        client.sendmail("me@demo.outpost.example", ["bob@arrives.example"],
            f"From: me@demo.outpost.example\r\nTo: bob@arrives.example\r\n"
            f"Subject: Hello over SMTP, number {number}\r\n\r\nIt works.\r\n")
print("three messages accepted")
PY

bold "3. One goes to a server that is not there"
printf 'To: carol@later.example\nSubject: This one waits\n\nPatience.\n' |
	run bin/sendmail -v -t -f me@demo.outpost.example

tries=0
arrived() {
	find "$folder/arrived" -name '*.eml' | wc -l
}
while [ "$(arrived)" -lt 4 ] && [ $tries -lt 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
sleep 0.5

bold "4. What arrived"
for file in "$folder/arrived"/*.eml; do
	printf '%s: ' "${file##*/}"
	grep -i '^Subject:' "$file" | tr -d '\r'
done

bold "5. The queue"
run bin/outpost queue list
id=$(bin/outpost queue list --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' |
	head -n 1)

bold "6. Why is it still here?"
[ -z "$id" ] || run bin/outpost queue explain "$id"

bold "7. The lines, and the programs"
run bin/outpost lines
run bin/outpost status

if [ "$(arrived)" -lt 4 ] || [ -z "$id" ]; then
	echo "demo: expected 4 arrived messages (got $(arrived)) and one in the queue" >&2
	exit 1
fi

bold "Up. Try it:"
cat <<TEXT
  export OUTPOST_CONF=$OUTPOST_CONF
  echo hello | bin/sendmail someone@arrives.example
  bin/outpost queue list
  SMTP on 127.0.0.1:$smtp; what arrives is in $folder/arrived
TEXT
if [ -n "${DEMO_SECONDS:-}" ]; then
	sleep "$DEMO_SECONDS"
	exit 0
fi
echo "Ctrl-C ends it."
wait $outpost_pid
