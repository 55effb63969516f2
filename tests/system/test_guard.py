"""The guard: outpost run checks at its start and at a reload, says what is
wrong, and a line group that must pass sends nothing until it does."""
import json
import subprocess
import sys

from dns import Nsd, need
from outpost import BIN, Folder, Instance, wait_until
from scripted import Stage

ADDRESS = "203.0.113.5"


def command(box, *words):
    return subprocess.run([BIN / "outpost", "-c", box.conf, *words],
                          capture_output=True, text=True, timeout=30,
                          check=False)


def objects(box, *words):
    out = command(box, *words, "--json").stdout
    return [json.loads(line) for line in out.splitlines()]


def checks(box):
    return next((o["checks"] for o in objects(box, "status")
                 if "checks" in o), None)


def conf(dns, stage, name, more=""):
    return (f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
            f'dnscheck {{ external = {{ "127.0.0.1={ADDRESS}" }} }}\n'
            f'line "default" {{ localname = "{name}"  bind = {{ "127.0.0.1" }}'
            f'  require-check = on }}\n'
            f'route "dest.example" {{ servers = {{ "smtp://127.0.23.1:'
            f'{stage.port}" }} }}\n' + more)


def check(box, dns, stage):
    host = stage.host("127.0.23.1")
    box.configure(conf(dns, stage, "wrong.good.example"))
    with box:
        sent = box.sendmail("Subject: x\n\nhello\n", "-f",
                            "a@good.example", "to@dest.example")
        assert sent.returncode == 0
        assert wait_until(lambda: checks(box)["at"], 25), box.text()
        state = checks(box)
        assert state["lines_stopped"] == ["default"], state
        assert state["failures"] > 0
        assert "failures" in command(box, "status").stdout
        assert "check-failed" in box.log() and "wrong.good.example" in \
            box.log()
        item, = objects(box, "queue", "list")
        assert item["cause"] == "check-failed", item
        explained = objects(box, "queue", "explain", item["id"])[0]
        assert "outpost dnscheck --line default" in json.dumps(explained), \
            explained
        done = command(box, "outbound", "on", "--line", "default")
        assert done.returncode == 1 and "require-check" in done.stderr, done
        assert host.messages == [], "it was sent in spite of the check"
        # the remedy: a name that fits the address
        box.configure(conf(dns, stage, "mail.good.example"))
        assert command(box, "reload").returncode == 0
        assert wait_until(lambda: host.messages, 25), box.text()
        assert checks(box)["lines_stopped"] == []
        assert wait_until(lambda: not objects(box, "queue", "list"))
        # what an operator stopped stays so
        assert command(box, "outbound", "off", "--line",
                       "default").returncode == 0
        assert command(box, "reload").returncode == 0
        off = [o for o in objects(box, "status") if "outbound_off" in o]
        assert off[0]["outbound_off"] == ["line:default"], off
        assert command(box, "outbound", "on", "--line",
                       "default").returncode == 0
        # without the guard nothing is checked and nothing held
        at = checks(box)["at"]
        text = conf(dns, stage, "wrong.good.example").replace(
            "dnscheck {", "dnscheck { guard = off ")
        box.configure(text)
        assert command(box, "reload").returncode == 0
        assert checks(box)["at"] == at
        assert checks(box)["lines_stopped"] == []


def main():
    need()
    with Folder() as folder, Stage() as stage:
        dns = Nsd(folder, {
            "good.example": f"mail IN A {ADDRESS}\n"
                            "wrong IN A 203.0.113.99\n@ IN MX 10 mail\n",
            "113.0.203.in-addr.arpa": "5 IN PTR mail.good.example.\n"})
        try:
            check(Instance(folder / "box"), dns, stage)
        finally:
            dns.stop()
    print("guard: all is well")


if __name__ == "__main__":
    sys.exit(main())
