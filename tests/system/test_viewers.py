"""What strangers say, seen by operators (hazard 33): replies, addresses, names
and subjects full of terminal escapes, quotes and line ends, in every viewer and
in the log. Text stays text, a line stays a line, JSON stays JSON, and the list
of destinations stays short.
"""
import json
import os
import pty
import re
import select
import smtplib
import subprocess
import time

from outpost import BIN, Folder, Instance, wait_until
from scripted import CLOSE, SILENT, Answer, Stage

CONF = '''
retry {{ wait = 1h  factor = 1  lifetime = 2d }}
line "default" {{ count = 4 }}
log = "detailed"
{routes}
'''
ESC, BELL, CSI8, RLO = "\x1b[2J", "\x07", "\u009b31m", "\u202e"
# Terminal control of all kinds, ends of lines, ends of values.
EVIL = (ESC + "\x1b]0;title\x07" + BELL + "\b\b\x7f\x0e" + CSI8 + RLO +
        "\u2066\u200e" + "\t|").encode() + b"\xff\xfe\xc0\xaf" + \
    b'" to=root@x.example status=2.0.0 "}, {"id": "\\u001b' + b"\\\\ ' $(id) %s%n"
REPLIES = {
    "banner": {"connect": b"554 " + EVIL + b"\r\n"},
    "ehlo": {"EHLO": b"550 " + EVIL + b"\r\n",
             "HELO": b"550-" + EVIL + b"\r\n550 " + EVIL + b"\r\n"},
    "mail": {"MAIL": b"451 4.7.1 " + EVIL + b"\r\n"},
    "rcpt": {"RCPT": b"451-4.7.1 " + EVIL + b"\r\n451 4.7.1 2026-01-01T00:"
             b"00:00.000Z outpost-queued[1]: delivered id=X\r\n"},
    "end": {"end": b"450 " + EVIL * 4 + b"\r\n"},
    "status": {"RCPT": b"451 4.7.\x1b[1 x\r\n"},
    "keyword": {"offers": ("SIZE \x1b[2J", "X\x1b]0;x\x07", "PIPELINING"),
                "MAIL": "451 later"},
    "cut": {"RCPT": Answer(EVIL, then=CLOSE)},
}
PRINTABLE = re.compile(r"[^\n\x20-\x7e\u00a0-\u2027\u202f-\u2065"
                       r"\u206a-\ufefe\uff00-\U0010ffff]")
LOG_LINE = re.compile(
    r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z outpost(-[a-z]+)?\[\d+\]: '
    r'(warning: )?[a-z][a-z0-9-]*'
    r'( [a-z][a-z0-9_-]*=([^\s"=\\]+|"([^"\\]|\\x[0-9a-f]{2})*"))*')


def check_text(words, text):
    """Printable, in UTF-8, no matter what."""
    found = PRINTABLE.search(text.decode("utf-8"))
    assert not found, (words, found, text)


def check_json(words, text):
    """One object a line, with nothing of a stranger outside its strings."""
    check_text(words, text)
    objects = [json.loads(line) for line in text.decode().splitlines()]
    assert all(isinstance(o, dict) for o in objects), words
    return objects


class World:
    def __init__(self, folder, stage):
        names = list(REPLIES) + ["silent", "good"]
        self.hosts, routes = {}, ""
        for n, name in enumerate(names, 1):
            script = REPLIES.get(name, {})
            if name == "silent":
                script = {"connect": b"220-" + EVIL + b"\r\n220 x" + EVIL
                          + b"\r\n", "MAIL": Answer(then=SILENT)}
            self.hosts[name] = stage.host(f"127.0.9.{n}", script)
            routes += f'route "{name}.example" {{ servers = ' \
                f'{{ "smtp://127.0.9.{n}:{stage.port}" }} }}\n'
        self.outpost = Instance(folder / "o", CONF.format(routes=routes))

    def run(self, *words):
        done = subprocess.run(
            [BIN / "outpost", *words, "-c", self.outpost.conf],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
        check_text(words, done.stderr.replace(b"\t", b" "))  # usage has tabs
        return done.stdout

    def terminal(self, *words):
        """What a person sees."""
        parent, child = pty.openpty()
        process = subprocess.Popen(
            [BIN / "outpost", *words, "-c", self.outpost.conf],
            stdin=subprocess.DEVNULL, stdout=child, stderr=child)
        os.close(child)
        seen = b""
        while select.select([parent], [], [], 20)[0]:
            try:
                data = os.read(parent, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        process.wait()
        os.close(parent)
        return seen.replace(b"\r\n", b"\n")

    def view_all(self):
        """Every viewer, on a terminal, to a pipe and as JSON."""
        ids = sorted({d["id"] for d in self.outpost.queue()})
        views = [["queue", "list"], ["queue", "stats"], ["status"],
                 ["lines"], ["queue", "list", "--sender", ESC],
                 ["queue", "verify"], ["queue", "list", "--state", "deferred"]]
        views += [["queue", what, i] for i in ids
                  for what in ("show", "explain")]
        for words in views:
            check_text(words, self.run(*words))
            if words[-1] != "verify":  # which shows its progress there
                check_text(words, self.terminal(*words))
            check_json(words, self.run(*words, "--json"))
        for i in ids:
            for what in ("--headers", "--body"):
                seen = self.terminal("queue", "show", i, what)
                check_text(what, seen.replace(b"\t", b" "))
        mailq = subprocess.run([BIN / "mailq", "-c", self.outpost.conf],
                               stdout=subprocess.PIPE, timeout=20).stdout
        check_text("mailq", mailq)
        return ids

    def check_log(self):
        """Each line is one of ours, whole, and says nothing it was told."""
        text = (self.outpost.folder / "log").read_bytes()
        for line in text.decode("ascii").splitlines():
            assert LOG_LINE.fullmatch(line), line
        return text.decode()


def replies(w):
    """Each reply of a hostile server."""
    for name in REPLIES:
        done = w.outpost.sendmail(b"Subject: \x1b[2J\n\n\x1b[2Jbody\n",
                                  f"u@{name}.example")
        assert done.returncode == 0, done
    assert wait_until(lambda: all(
        d["state"] in ("deferred", "uncertain") for d in w.outpost.queue()), 20), \
        [(d["recipient"], d["state"]) for d in w.outpost.queue()]
    assert len(w.view_all()) == len(REPLIES)
    replies_seen = [d["reply"] for d in w.outpost.queue()]
    assert any("$(id) %s%n" in r for r in replies_seen), replies_seen
    log = w.check_log()
    # what pretends to be a log line, or a value of one, is inside a value
    assert not re.search(r"^\S+ \S+ delivered ", log, re.M)
    assert not re.search(r" to=root@x\.example", re.sub(
        r'"[^"]*"', '""', log))


def lines(w):
    """A line that talks to such a server."""
    assert w.outpost.sendmail(b"x\n", "u@silent.example").returncode == 0
    assert wait_until(lambda: any(
        l["state"] == "sending" for l in w.outpost.json("lines")), 10)
    w.view_all()
    for pid in w.outpost.pids():
        with open(f"/proc/{pid}/cmdline", "rb") as title:
            check_text("title", title.read().replace(b"\0", b" "))


def envelopes(w):
    """Addresses, names of clients, headers, users' own words."""
    before = len(w.outpost.queue())
    w.outpost.command("outbound", "off")
    with smtplib.SMTP("127.0.0.1", w.outpost.port) as client:
        client.putcmd(b"EHLO \x1b[2Jevil".decode("latin-1"))
        client.getreply()
        client.ehlo("[127.0.0.1]")
        addresses = ('"\\\x1b[2J"@good.example', '"a\\"b\\\\c"@good.example',
                     '"}, {"@good.example', "$(id)%n@good.example",
                     "\u202eab@good.example", "\u009b31m@good.example",
                     '"a b=c"@good.example', "a\x7f@good.example",
                     '"\x00"@good.example', "=?x?q?=1b=5b?=@good.example")
        taken = 0
        for address in addresses:
            client.putcmd("MAIL FROM:<a@x.example> SMTPUTF8")
            client.getreply()
            client.sock.sendall(b"RCPT TO:<" + address.encode() + b">\r\n")
            if client.getreply()[0] == 250:
                client.data(b"Subject: " + EVIL + b"\r\nFrom: \x1b[2J"
                            b"\r\n\r\n" + EVIL + b"\r\n")
                taken += 1
            else:
                client.rset()
    assert taken >= 4, taken
    done = w.outpost.sendmail(
        b"From: " + EVIL.replace(b"\0", b"") + b"\nSubject: " + EVIL
        + b"\n\nx\n", "-F", "name \x1b[2J\u202e", "-f", "own@x.example",
        "v@good.example")
    assert done.returncode in (0, 64), done
    check_text("sendmail", done.stdout + done.stderr)
    assert len(w.outpost.queue()) > before + taken - 1
    w.view_all()
    w.check_log()
    # the commands themselves, told nonsense
    for words in (["queue", "show", ESC], ["queue", "list", "--state", ESC],
                  ["outbound", "off", "--destination", RLO + ESC],
                  [ESC], ["queue", ESC], ["log", ESC]):
        for out in (w.run(*words), w.terminal(*words)):
            check_text(words, out.replace(b"\t", b" "))
    w.view_all()
    w.check_log()


def many_destinations(w):
    """A thousand domains are not a thousand lines of statistics."""
    w.outpost.command("outbound", "off")
    with smtplib.SMTP("127.0.0.1", w.outpost.port) as client:
        for n in range(11):
            client.sendmail("a@x.example", [
                f"u@d{n}x{i}.example" for i in range(100)], "x\r\n")
    stats = w.outpost.stats()
    assert stats["recipients"] >= 1000
    assert len(stats["destinations"]) == 1000
    assert stats["destination_count"] >= 1000
    assert len(w.run("queue", "stats")) < 8192


def main():
    with Folder() as folder, Stage() as stage:
        w = World(folder, stage)
        with w.outpost:
            for scene in (replies, lines, envelopes, many_destinations):
                started = time.monotonic()
                scene(w)
                print(f"{scene.__name__} {time.monotonic() - started:.1f} s",
                      flush=True)
            w.outpost.kill()  # a line waits for ever


if __name__ == "__main__":
    main()
