"""outpost setup: from nothing to a file with which mail flows, unattended and
by the keys of a terminal; what the user tuned stays as it was."""
import os
import pty
import select
import stat
import subprocess
import sys
import time

from certificates import Authority
from dns import Nsd, need
from login_peer import Login, server_context
from outpost import BIN, Folder, Instance, wait_until
from scripted import OFFERS, Stage

ADDRESS = "203.0.113.5"
CA = '''# my own words
spool = "spool"   # tuned
runtime = "run"
log-to = "log"
{more}
tls {{ ca-file = "{ca}" }}
'''


def setup(conf, *options, **more):
    return subprocess.run([BIN / "outpost", "setup", "-c", conf, *options],
                          capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False, **more)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder)
        pem = self.authority.issue("relay.good.example", days=60)
        self.stage = Stage(certificate=pem)
        self.login = Login({"me@good.example": "pass word"})
        self.relay = self.stage.host("127.0.25.1", {
            "offers": ("STARTTLS", *OFFERS),
            "offers-tls": ("AUTH PLAIN", *OFFERS), "AUTH": self.login})
        self.relay.tls = server_context(pem)
        self.stage.host("127.0.25.2", {
            "connect": "220 mx.good.example", "offers": OFFERS})
        self.dns = Nsd(folder, {
            "good.example": f"mail IN A {ADDRESS}\n@ IN MX 10 mx\n"
                            "relay IN A 127.0.25.1\nmx IN A 127.0.25.2\n",
            "closed.example": "@ IN MX 10 mx\nmx IN A 127.0.25.99\n",
            "113.0.203.in-addr.arpa": "5 IN PTR mail.good.example.\n"})

    def conf(self, name, more=""):
        path = self.folder / name
        path.mkdir()
        path = path / "outpost.conf"
        path.write_text(CA.format(ca=self.authority.file, more=(
            f'port = {self.stage.port}\nallow-local-mx = on\n'
            f'resolvers = {{ "127.0.0.1:{self.dns.port}" }}\n'
            'line "default" { bind = { "127.0.0.1" } }\n' + more)))
        return path

    def relay_options(self):
        secret = self.folder / "secret"
        secret.write_text("pass word\n")
        os.chmod(secret, 0o600)
        return ["--yes", "--mode", "relay", "--relay-server",
                "relay.good.example", "--relay-port", str(self.stage.port),
                "--relay-tls", "verify", "--relay-user", "me@good.example",
                "--relay-password-file", str(secret)]

    def stop(self):
        self.stage.stop()
        self.dns.stop()


def check_new(world):
    """Without a file: the defaults are written out."""
    conf = world.folder / "fresh" / "outpost.conf"
    done = setup(conf, "--yes", "--no-checks", "--localname",
                 "mail.good.example", "--mode", "direct", "--reply-to",
                 "office@good.example", "--sender-name", 'The "Office"',
                 "--postmaster", "boss@good.example")
    assert done.returncode == 0, done
    text = conf.read_text()
    assert 'localname = "mail.good.example"' in text, text
    assert 'sender-name = "The \\"Office\\""' in text, text
    assert stat.S_IMODE(conf.stat().st_mode) == 0o644
    assert not (conf.parent / "outpost.conf.bak").exists()
    ok = subprocess.run([BIN / "outpost", "check", "-c", conf],
                        capture_output=True, text=True, check=False)
    assert ok.returncode == 0, ok


def check_refused(world):
    conf = world.conf("refused")
    before = conf.read_text()
    for options in (["--localname", "localhost"], ["--localname", "a\nb.c"],
                    ["--relay-port", "none", "--mode", "relay",
                     "--relay-server", "x.example"],
                    ["--mode", "pigeon"], ["--timezone", "Mars/Base"]):
        done = setup(conf, "--yes", "--no-checks", *options)
        assert done.returncode == 1, (options, done)
        assert conf.read_text() == before, options
        assert sorted(p.name for p in conf.parent.iterdir()) == [
            "outpost.conf"], options
    assert setup(conf).returncode == 2, "no terminal and no --yes"
    # a login that is refused writes nothing
    options = world.relay_options()
    (world.folder / "secret").write_text("wrong\n")
    done = setup(conf, *options)
    assert done.returncode == 1 and "relay-login-refused" in done.stdout, done
    assert "wrong" not in done.stdout + done.stderr
    assert conf.read_text() == before


def check_relay(world):
    """An existing file: only what was answered changes, the login is tried,
    and mail flows at once."""
    box = Instance(world.folder / "relayed", listen=False)
    box.conf.write_text(world.conf("source").read_text())
    before = box.conf.read_text()
    done = setup(box.conf, *world.relay_options(), "--localname",
                 "mail.good.example", "--timeout", "5s")
    assert done.returncode == 0, done
    assert "relay-login-ok" in done.stdout, done.stdout
    text = box.conf.read_text()
    assert text.startswith(before.split('line "default"')[0]), text
    assert "# my own words" in text and "# tuned" in text
    assert (box.conf.parent / "outpost.conf.bak").read_text() == before
    # once more, with one answer: the rest stays byte for byte
    done = setup(box.conf, "--yes", "--no-checks", "--postmaster",
                 "boss@good.example")
    assert done.returncode == 0, done
    assert box.conf.read_text() == text + 'postmaster = "boss@good.example"\n'
    with box:
        sent = box.sendmail("Subject: x\n\nhello\n", "-f",
                            "me@good.example", "to@elsewhere.example")
        assert sent.returncode == 0
        assert wait_until(lambda: world.relay.messages, 20), box.text()
    assert any(right for _, _, right in world.login.attempts)


def check_proposals(world):
    """A network that can: direct, with the address's own name; one that cannot
    is led to a relay."""
    port25 = 'dnscheck {{ external = {{ "127.0.0.1={a}" }}  port25 = {{ "{d}" ' \
             '}} }}\n'
    conf = world.conf("direct", port25.format(a=ADDRESS, d="good.example"))
    screen = Keys(["setup", "-c", str(conf), "--timeout", "4s"])
    assert screen.until("Local name"), screen.text
    assert "[mail.good.example]" in screen.text, screen.text
    screen.type("")
    assert screen.until("relay\" [direct]"), screen.text
    screen.end()
    conf = world.conf("closed", port25.format(a=ADDRESS, d="closed.example"))
    screen = Keys(["setup", "-c", str(conf), "--timeout", "4s"])
    assert screen.until("Local name"), screen.text
    screen.type("")
    assert screen.until("port25-refused"), screen.text
    assert screen.until("send by a relay"), screen.text
    assert screen.until("relay\" [relay]"), screen.text
    screen.end()


class Keys:
    """A program on a terminal of its own."""

    def __init__(self, words):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(BIN / "outpost", ["outpost", *words])

    def until(self, what, seconds=20):
        """Read until that stands behind what was seen before."""
        start = getattr(self, "seen", 0)
        deadline = time.monotonic() + seconds
        while what not in self.text[start:]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return False
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return what in self.text[start:]
            self.text += data.decode("utf-8", "replace").replace("\r", "")
        self.seen = self.text.index(what, start) + len(what)
        return True

    def type(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def end(self):
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def check_keys(world):
    """The whole of it by hand: a wrong password first, then the right one."""
    conf = world.conf("keys")
    screen = Keys(["setup", "-c", str(conf), "--timeout", "4s"])

    def answer(prompt, line):
        assert screen.until(prompt), screen.text
        screen.type(line)

    def relay(password):
        answer("Relay server", "relay.good.example")
        answer("Port", str(world.stage.port))
        answer("TLS (", "verify")
        answer("User name", "me@good.example")
        answer("Password", password)

    answer("Local name", "mail.good.example")
    answer("Send \"direct\"", "relay")
    relay("not it")
    for prompt in ("Postmaster", "Time zone", "Reply-To", "sender name"):
        answer(prompt, "")
    assert screen.until("relay-login-refused"), screen.text
    answer("Other answers", "y")
    relay("pass word")
    assert screen.until("relay-login-ok"), screen.text
    assert screen.until('password-file = "secrets/default"'), screen.text
    answer("Write it?", "y")
    answer("Send a test message", "")
    assert "pass word" not in screen.text and "not it" not in screen.text
    screen.until("never printed", 1)
    assert screen.end() == 0
    secret = conf.parent / "secrets" / "default"
    assert secret.read_text() == "pass word"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert sorted(p.name for p in conf.parent.iterdir()) == [
        "outpost.conf", "outpost.conf.bak", "secrets"]
    assert [p.name for p in secret.parent.iterdir()] == ["default"]


def main():
    need()
    with Folder() as folder:
        world = World(folder)
        try:
            for check in (check_new, check_refused, check_relay,
                          check_proposals, check_keys):
                began = time.monotonic()
                check(world)
                print(f"{check.__name__:16} ok "
                      f"{time.monotonic() - began:.1f} s")
        finally:
            world.stop()


if __name__ == "__main__":
    sys.exit(main())
