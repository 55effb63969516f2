"""outpost dnscheck and real conversations: --server, --relay, --to and port 25,
each fault told apart by its code, and each mended fault found mended."""
import json
import os
import pathlib
import subprocess
import sys
import time

import dovecot
from certificates import Authority
from dns import Nsd, need
from login_peer import Login, server_context
from outpost import BIN, Folder, free_port
from scripted import OFFERS, SILENT, Answer, Stage

ESCAPE = "\x1b[31mred\x1b[0m"


class Bench:
    """A folder with a configuration, a name server and a stage of servers."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.authority = Authority(self.folder)
        self.stage = Stage(certificate=self.authority.issue(
            "mx.good.example", days=60))
        port = self.stage.port
        zone = "".join(
            f"{name} IN A {address}\n" for name, address in (
                ("mx", "127.0.21.1"), ("two", "127.0.21.2"),
                ("mute", "127.0.21.3"), ("listed", "127.0.21.4"),
                ("relay", "127.0.21.5"), ("closed", "127.0.21.99"),
                ("deny", "127.0.21.6"), ("dove", "127.0.0.1"),
                ("plain", "127.0.21.7")))
        self.dns = Nsd(folder, {
            "good.example": "@ IN MX 10 mx\n" + zone,
            "bad.example": "@ IN MX 10 mute.good.example.\n"
                           "@ IN MX 20 two.good.example.\n",
            "listed.example": "@ IN MX 10 listed.good.example.\n",
            "closed.example": "@ IN MX 10 closed.good.example.\n",
            "mute.example": "@ IN MX 10 mute.good.example.\n",
            "theirs.example": "@ IN MX 10 mx\nmx IN A 127.0.21.1\n",
            "none.example": "@ IN MX 0 .\n",
            "deny.example": "@ IN MX 10 deny.good.example.\n"
                            "@ IN MX 20 mx.good.example.\n",
            "plain.example": "@ IN MX 10 plain.good.example.\n"})
        self.conf = self.folder / "outpost.conf"
        self.base = (f'localname = "me.test.example"\n'
                     f'spool = "spool"\nruntime = "run"\nport = {port}\n'
                     f'postmaster = "boss@test.example"\n'
                     f'resolvers = {{ "127.0.0.1:{self.dns.port}" }}\n'
                     f'tls {{ ca-file = "{self.authority.file}" }}\n'
                     'allow-local-mx = on\n')

    def check(self, *options, conf="", timeout="6s"):
        """Its findings, as JSON gives them; and that they are clean."""
        self.conf.write_text(self.base + conf)
        command = [BIN / "outpost-dnscheck", "-c", self.conf, "--timeout",
                   timeout, *options]
        began = time.monotonic()
        done = subprocess.run([*command, "--json"], capture_output=True,
                              text=True, timeout=60, check=False)
        self.took = time.monotonic() - began
        assert done.returncode in (0, 1), (done.returncode, done.stderr)
        assert "\x1b" not in done.stdout, "foreign escapes let through"
        self.status = done.returncode
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return [f for f in found if "code" in f]

    def tls_for(self, name, days=60):
        return server_context(self.authority.issue(name, days=days))

    def stop(self):
        self.dns.stop()
        self.stage.stop()


def codes(findings, family=""):
    return {f["code"]: f for f in findings if f["code"].startswith(family)}


def check_server(bench):
    port = bench.stage.port
    bench.stage.host("127.0.21.1", {
        "connect": f"220 mx.good.example ESMTP {ESCAPE}",
        "offers": ("STARTTLS", *OFFERS)})
    got = codes(bench.check("--server", f"mx.good.example:{port}"))
    assert set(got) == {"server-banner-ok", "server-ehlo-ok",
                        "server-source-ok", "server-tls-ok",
                        "server-login-none"}, got
    assert bench.status == 0
    assert "127.0.0.1" in got["server-source-ok"]["found"], got
    assert "mx.good.example" in got["server-tls-ok"]["found"], got
    # the same server by a name that is not in its certificate
    got = codes(bench.check("--server", f"mx.theirs.example:{port}"))
    assert got["server-tls-bad"]["status"] == "warn", got
    assert "certificate of" in got["server-tls-bad"]["found"], got
    bench.stage.host("127.0.21.3", {"connect": Answer("220-wait", then=SILENT)})
    got = codes(bench.check("--server", f"mute.good.example:{port}",
                            timeout="2s"))
    assert len(got) == 1 and bench.took < 6, (got, bench.took)
    code, = got
    assert code in ("server-silent", "server-unknown"), got
    assert got[code]["status"] in ("fail", "skip"), got
    bench.stage.host("127.0.21.4", {
        "connect": "554 5.7.1 blocked using zen.spamhaus.org"})
    got = codes(bench.check("--server", f"listed.good.example:{port}"))
    assert set(got) == {"server-banner-refused"}, got
    assert "spamhaus" in got["server-banner-refused"]["found"]
    assert bench.status == 1
    got = codes(bench.check("--server", f"closed.good.example:{port}"))
    assert set(got) == {"server-refused"}, got
    got = codes(bench.check("--server", "nobody.good.example"))
    assert set(got) == {"server-unresolved"}, got
    got = codes(bench.check("--server", f"127.0.21.1:{port}"))
    assert "server-ehlo-ok" in got and "server-tls-bad" in got, got
    # of the hosts file, as a line finds it too
    bench.stage.host("127.0.0.1", {"offers": OFFERS})
    got = codes(bench.check("--server", f"localhost:{port}"))
    assert "server-ehlo-ok" in got, got
    got = codes(bench.check("--server", "not a server"))
    assert set(got) == {"server-unresolved"}, got


RELAY = 'relay "isp" {{ servers = {{ "smtp://{host}:{port}" }} {more} }}\n'


def relay_conf(bench, more="", host="relay.good.example"):
    return RELAY.format(host=host, port=bench.stage.port, more=more)


def check_relay(bench):
    secret = bench.folder / "secret"
    secret.write_text("right\n")
    os.chmod(secret, 0o600)
    login = Login({"me": "right"})
    host = bench.stage.host("127.0.21.5", {
        "offers": ("STARTTLS", "SIZE 1000000"),
        "offers-tls": ("AUTH PLAIN LOGIN", "SIZE 1000000"),
        "AUTH": login,
        "RCPT": "554 5.7.1 relay access denied"})
    bench.stage.hosts["127.0.21.5"].tls = bench.tls_for("relay.good.example")
    # open to all? it says no to RCPT
    got = codes(bench.check("--relay", "isp", conf=relay_conf(bench)))
    assert set(got) == {"relay-tls-ok", "relay-denied",
                        "relay-limits-lower"}, got
    assert "relay access denied" in got["relay-denied"]["found"]
    # with a login, rightly and wrongly
    user = 'user = "me"  password-file = "secret"'
    host.script["RCPT"] = None
    got = codes(bench.check("--relay", "isp", conf=relay_conf(bench, user)))
    assert set(got) == {"relay-tls-ok", "relay-login-ok", "relay-ok",
                        "relay-limits-lower"}, got
    assert bench.status == 0 and host.messages == []
    assert "RSET" in host.commands() and "DATA" not in host.commands()
    got = codes(bench.check(
        "--relay", "isp", conf=relay_conf(bench, user)
        + "limits { message-size = 1000000 }\n"))
    assert "relay-limits-ok" in got, got
    secret.write_text("wrong\n")
    before = len(login.attempts)
    got = codes(bench.check("--relay", "isp", conf=relay_conf(bench, user)))
    assert got["relay-login-refused"]["status"] == "fail", got
    assert len(login.attempts) == before + 1, "the account would be locked"
    assert "wrong" not in json.dumps(list(got.values())), "the password shown"
    os.chmod(secret, 0o644)
    got = codes(bench.check("--relay", "isp", conf=relay_conf(bench, user)))
    assert got["relay-login-unread"]["status"] == "fail", got
    assert "chmod 600" in got["relay-login-unread"]["found"], got
    assert len(login.attempts) == before + 1, "tried in spite of that"
    # somebody else's certificate: the login is not sent
    os.chmod(secret, 0o600)
    bench.stage.hosts["127.0.21.5"].tls = bench.tls_for("other.example")
    got = codes(bench.check("--relay", "isp", conf=relay_conf(bench, user)))
    assert set(got) == {"relay-tls-bad"}, got
    assert "other.example" in got["relay-tls-bad"]["found"], got
    assert len(login.attempts) == before + 1
    # soon over, and over
    bench.stage.hosts["127.0.21.5"].tls = bench.tls_for(
        "relay.good.example", days=3)
    got = codes(bench.check("--relay", "isp", conf=relay_conf(bench)))
    assert got["relay-tls-expiring"]["status"] == "warn", got
    got = codes(bench.check("--relay", "isp", conf=relay_conf(
        bench, host="closed.good.example")))
    assert set(got) == {"relay-refused"}, got


def check_dovecot(bench):
    """The login at a real server, right and wrong."""
    if dovecot.why_not():
        print(f"dovecot: {dovecot.why_not()}")
        return
    secret, port = bench.folder / "secret", free_port()
    os.chmod(secret, 0o600)
    pem = bench.authority.issue("dove.good.example", days=60)
    conf = (f'relay "isp" {{ servers = {{ "smtp://dove.good.example:{port}" }}  '
            'user = "me@good.example"  password-file = "secret" }\n')
    with dovecot.Dovecot(bench.folder / "dovecot", port, bench.stage.port,
                         {"me@good.example": "pass: #word"}, pem):
        secret.write_text("pass: #word\n")
        got = codes(bench.check("--relay", "isp", conf=conf))
        assert got["relay-login-ok"]["status"] == "ok", got
        assert got["relay-tls-ok"]["status"] == "ok", got
        secret.write_text("another\n")
        got = codes(bench.check("--relay", "isp", conf=conf))
        assert set(got) == {"relay-tls-ok", "relay-login-refused"}, got


def check_to(bench):
    script = bench.stage.hosts["127.0.21.1"].script
    got = bench.check("--to", "someone@good.example")
    by = codes(got)
    assert set(by) == {"to-route-ok", "to-tls-ok", "to-mx-ok",
                       "to-host-ok"}, by
    assert "someone@good.example" in " ".join(
        bench.stage.hosts["127.0.21.1"].commands())
    assert bench.stage.hosts["127.0.21.1"].messages == []
    script["RCPT"] = "550 5.1.1 nobody of that name"
    by = codes(bench.check("--to", "someone@good.example"))
    assert by["to-rcpt-refused"]["status"] == "fail", by
    assert "bounces" in by["to-rcpt-refused"]["remedy"], by
    script["RCPT"] = "451 4.7.1 greylisted, come back later"
    by = codes(bench.check("--to", "someone@good.example"))
    assert by["to-deferred"]["status"] == "warn", by
    assert "greylist" in by["to-deferred"]["remedy"], by
    script["RCPT"] = None
    script["MAIL"] = "550 5.7.25 no reverse name"
    by = codes(bench.check("--to", "someone@good.example"))
    assert by["to-sender-refused"]["status"] == "fail", by
    script["MAIL"] = None
    # hosts in their order, the first of them mute
    bench.stage.host("127.0.21.2")
    found = [f for f in bench.check("--to", "a@bad.example", timeout="3s")
             if f["code"].startswith("to-host")]
    assert len(found) == 2, found
    first = next(f for f in found if "mute" in f["subject"])
    second = next(f for f in found if "two" in f["subject"])
    assert first["status"] in ("warn", "skip"), first
    assert second["code"] == "to-host-ok" and "host 2 (20)" in second["found"]
    by = codes(bench.check("--to", "a@closed.example"))
    assert "next host" in by["to-host-unreachable"]["remedy"], by
    assert set(codes(bench.check("--to", "a@none.example"))) == {
        "to-route-ok", "to-tls-ok", "to-null-mx"}
    assert "to-no-domain" in codes(bench.check("--to", "a@gone.good.example"))
    assert set(codes(bench.check("--to", "not an address"))) == {"to-address"}
    # a route's own servers, with the rule's file and line
    by = codes(bench.check("--to", "a@none.example", conf=(
        f'route "none.example" {{ servers = {{ "smtp://two.good.example:'
        f'{bench.stage.port}" }} }}\n')))
    assert set(by) == {"to-route-ok", "to-tls-ok", "to-host-ok"}, by
    assert "outpost.conf:" in by["to-route-ok"]["found"], by


def port25(bench, *domains, options=(), line="127.0.0.1", timeout="6s"):
    names = ", ".join(f'"{d}"' for d in domains)
    return codes(bench.check(*options, timeout=timeout, conf=(
        f'line "default" {{ bind = {{ "{line}" }} }}\n'
        f'dnscheck {{ port25 = {{ {names} }} }}\n')), "port25-")


def check_echo(bench):
    """Behind NAT the world sees another address: a server says which."""
    port = bench.stage.port
    bench.stage.host("127.0.21.8", {
        "EHLO": "250 echo.example Hello [203.0.113.7], pleased"})
    got = bench.check("--fast", "--echo", f"127.0.21.8:{port}")
    assert "203.0.113.7" not in json.dumps(got), "looked in spite of --fast"
    got = bench.check(conf=(
        "line \"default\" { bind = { \"127.0.0.1\" } }\n"
        f"dnscheck {{ echo = \"127.0.21.8:{port}\"  port25 = {{ "
        "\"good.example\" } }\n"))
    assert any("203.0.113.7" in f["found"] + f["subject"] for f in got), got


def check_port25(bench):
    assert set(port25(bench, "good.example")) == {"port25-ok"}
    assert set(port25(bench, "closed.example")) == {"port25-refused"}
    assert set(port25(bench, "listed.example")) == {"port25-listed"}
    got = port25(bench, "mute.example", timeout="2s")
    assert set(got) <= {"port25-silent", "port25-unknown"} and got, got
    # our own provider answers in the place of that host
    got = port25(bench, "theirs.example")
    assert got["port25-intercepted"]["status"] == "fail", got
    bench.stage.host("127.0.21.7", {
        "connect": "220 plain.good.example", "offers": OFFERS})
    assert port25(bench, "plain.example")["port25-no-tls"]["status"] == "warn"
    # one server that is down among others is no blocked port
    got = port25(bench, "good.example", "closed.example")
    assert got["port25-refused"]["status"] == "warn", got
    got = port25(bench, "nothing.good.example")
    assert got["port25-unknown"]["status"] == "skip", got
    # from the line's own address
    host = bench.stage.hosts["127.0.21.1"]
    del host.connections[:]
    assert set(port25(bench, "good.example", line="127.0.0.9")) == {
        "port25-ok"}
    assert {c.peer for c in host.connections} == {"127.0.0.9"}


def main():
    need()
    with Folder() as folder:
        bench = Bench(folder)
        try:
            for check in (check_server, check_relay, check_dovecot, check_to,
                          check_echo, check_port25):
                began = time.monotonic()
                check(bench)
                print(f"{check.__name__:16} ok "
                      f"{time.monotonic() - began:.1f} s")
        finally:
            bench.stop()


if __name__ == "__main__":
    sys.exit(main())
