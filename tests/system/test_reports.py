"""Reports to senders: RFC 3464 form, RFC 3461 wishes, once and to the right
reader; delay notices, retries and the end of a message's life. Servers are
scripted, reached by routes."""
import email
import email.policy
import email.utils
import re
import smtplib
import sys
import threading
import time
import traceback

from outpost import Folder, Instance, wait_until
from scripted import OFFERS, Stage

HOME, BAD, BAD2, DSN, LATER, GRAVE, WILD, GOOD = range(1, 9)
SUBJECT = "Subject: the original\nFrom: <alice@sender.example>\n"
BODY = "a line of the body\n.\n=_not_a_boundary\n--\n"


class Report:
    """One message that arrived at home, taken apart as a DSN."""

    def __init__(self, message):
        self.raw = message.content
        self.mail = message.mail
        self.to = message.rcpts
        self.message = email.message_from_bytes(message.content,
                                                policy=email.policy.SMTP)
        assert self.message.get_content_type() == "multipart/report", \
            self.message.get_content_type()
        assert self.message.get_param("report-type") == "delivery-status"
        parts = list(self.message.iter_parts())
        assert len(parts) == 3, [p.get_content_type() for p in parts]
        self.words, self.status, self.original = parts
        assert self.words.get_content_type() == "text/plain"
        assert self.status.get_content_type() == "message/delivery-status"
        blocks = self.status.get_payload()
        self.head, self.blocks = blocks[0], blocks[1:]
        assert not self.message.defects and not any(
            p.defects for p in self.message.walk()), "MIME defects"

    def block(self, recipient):
        found = [b for b in self.blocks
                 if b["Final-Recipient"] == f"rfc822; {recipient}"]
        assert len(found) == 1, (recipient, self.raw.decode("latin-1"))
        return found[0]


class Home:
    """Where reports arrive, by the address that they are sent to."""

    def __init__(self, host):
        self.host = host

    def to(self, address):
        return [Report(m) for m in self.host.messages if address in m.rcpts]

    def wait(self, address, count=1, seconds=12):
        wait_until(lambda: len(self.to(address)) >= count, seconds)
        found = self.to(address)
        assert len(found) == count, \
            f"{len(found)} reports to {address}, not {count}"
        return found


class World:
    """The servers, an Outpost in front of them, and what was sent."""

    def __init__(self, folder, name, stage, base, settings, scripts):
        self.hosts = {n: stage.host(f"127.0.{base}.{n}", script)
                      for n, script in scripts.items()}
        self.home = Home(self.hosts[HOME])
        domains = {"sender": HOME, "post": HOME, "bad": BAD, "bad2": BAD2,
                   "dsn": DSN, "later": LATER, "grave": GRAVE, "wild": WILD,
                   "good": GOOD}
        routes = "".join(
            f'route "{d}.example" {{ servers = '
            f'{{ "smtp://127.0.{base}.{n}:{stage.port}" }} }}\n'
            for d, n in domains.items())
        self.outpost = Instance(folder / name, settings + routes)

    def send(self, sender, recipients, text=SUBJECT + "\n" + BODY, mail=(),
             rcpt=()):
        with smtplib.SMTP("127.0.0.1", self.outpost.port) as client:
            client.sendmail(sender, recipients, text, mail, rcpt)


def is_date(text):
    return abs(email.utils.parsedate_to_datetime(text).timestamp()
               - time.time()) < 120


# --- form --------------------------------------------------------------------

def test_form(w):
    """All fields of a report, the whole message returned."""
    w.send("form@sender.example", ["b@bad.example"],
           mail=["RET=FULL", "ENVID=QQ+2B1+3Dx"],
           rcpt=["NOTIFY=FAILURE", "ORCPT=rfc822;Bob+2Bx@orig.example"])
    r, = w.home.wait("form@sender.example")
    assert r.mail.startswith("FROM:<>"), r.mail
    m = r.message
    assert m["From"].addresses[0].username == "MAILER-DAEMON"
    assert m["To"].addresses[0].addr_spec == "form@sender.example"
    assert m["Auto-Submitted"] == "auto-replied" and m["MIME-Version"] == "1.0"
    assert is_date(m["Date"]) and m["Message-ID"] and m["Subject"]
    assert r.head["Reporting-MTA"] == "dns; test.outpost.example"
    assert r.head["Original-Envelope-Id"] == "QQ+1=x"
    assert is_date(r.head["Arrival-Date"])
    b = r.block("b@bad.example")
    assert b["Original-Recipient"] == "rfc822; Bob+x@orig.example" or \
        b["Original-Recipient"] == "rfc822;Bob+x@orig.example", \
        b["Original-Recipient"]
    assert b["Action"] == "failed" and b["Status"] == "5.1.1"
    assert b["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert re.fullmatch(r"dns; \[127\.0\.\d+\.2\]", b["Remote-MTA"]), \
        b["Remote-MTA"]
    assert r.original.get_content_type() == "message/rfc822"
    original = r.original.get_payload()[0]
    assert original["Subject"] == "the original" and \
        original["Received"] is not None
    assert original.get_payload().replace("\r\n", "\n") == BODY
    words = r.words.get_content()
    assert "b@bad.example" in words and "no such user" in words


def test_headers_only(w):
    """RET=HDRS: the body is not given back."""
    w.send("hdrs@sender.example", ["b@bad.example"], mail=["RET=HDRS"])
    r, = w.home.wait("hdrs@sender.example")
    assert r.original.get_content_type() == "text/rfc822-headers"
    assert "Subject: the original" in r.original.get_content()
    assert b"line of the body" not in r.raw
    assert r.head["Original-Envelope-Id"] is None


def test_large(w):
    """A large message comes back by its header alone."""
    text = SUBJECT + "\n" + "0123456789abcde\n" * 20000
    w.send("large@sender.example", ["b@bad.example"], text, ["RET=FULL"])
    r, = w.home.wait("large@sender.example")
    assert r.original.get_content_type() == "text/rfc822-headers"
    assert len(r.raw) < 10000


def test_8bit(w):
    """An 8-bit original is declared as such, and returned byte for byte."""
    text = (SUBJECT + "Content-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 8bit\n\nÄpfel\n"
            ).replace("\n", "\r\n").encode()
    w.send("8bit@sender.example", ["b@bad.example"], text,
           mail=["BODY=8BITMIME"])
    r, = w.home.wait("8bit@sender.example")
    assert "BODY=8BITMIME" in r.mail, r.mail
    assert r.message["Content-Transfer-Encoding"] == "8bit"
    assert "Äpfel".encode() in r.raw


def test_one_for_all(w):
    """One report for all that failed, also at several servers."""
    w.send("all@sender.example",
           ["b@bad.example", "c@bad.example", "x@bad2.example",
            "y@good.example"])
    r, = w.home.wait("all@sender.example")
    assert len(r.blocks) == 3
    assert r.block("c@bad.example")["Status"] == "5.2.1"
    assert r.block("x@bad2.example")["Diagnostic-Code"] == \
        "smtp; 550 5.7.1 not from you"
    time.sleep(1.5)
    w.home.wait("all@sender.example")


# --- who wants which ----------------------------------------------------------

def test_wishes(w):
    """NOTIFY, and what is passed on to a server that knows DSN."""
    never, success, both, none = (f"{x}@sender.example" for x in
                                  ("never", "success", "both", "none"))
    w.send(never, ["b@bad.example"], rcpt=["NOTIFY=NEVER"])
    w.send(success, ["ok@good.example"], rcpt=["NOTIFY=SUCCESS"])
    w.send(success, ["b@bad.example"], rcpt=["NOTIFY=SUCCESS"])
    w.send(both, ["ok@dsn.example"], mail=["RET=HDRS", "ENVID=e1"],
           rcpt=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;o@p.example"])
    w.send(none, ["n@dsn.example"])
    r, = w.home.wait(success)
    b = r.block("ok@good.example")
    assert b["Action"] == "relayed" and b["Status"][0] == "2", b
    assert r.original.get_content_type() == "text/rfc822-headers"
    wait_until(lambda: len(w.hosts[DSN].messages) == 2, 10)
    both, none = sorted(w.hosts[DSN].messages, key=lambda m: "none" in m.mail)
    assert "RET=HDRS" in both.mail and "ENVID=e1" in both.mail, both.mail
    rcpts = [c for c in w.hosts[DSN].commands() if c.startswith("RCPT")]
    asked = next(c for c in rcpts if "<ok@" in c)
    assert "NOTIFY=SUCCESS,DELAY" in asked and \
        "ORCPT=rfc822;o@p.example" in asked, asked
    assert "RET" not in none.mail and \
        not any("NOTIFY" in c for c in rcpts if "<n@" in c)
    time.sleep(1.5)
    assert not w.home.to(never)
    w.home.wait(success)


def test_null_sender(w):
    """Mail without a sender is never reported."""
    before = w.outpost.stats()["failed"]
    done = w.outpost.sendmail("Subject: x\n\nx\n", "-f", "<>", "--",
                              "null@bad.example")
    assert done.returncode == 0, done.stderr
    assert wait_until(lambda: w.outpost.stats()["failed"] > before, 8)
    time.sleep(1.5)
    assert not any(b"null@bad.example" in m.content
                   for m in w.home.host.messages)
    assert not w.outpost.queue("--recipient", "null@bad.example")


def test_double(w):
    """A report that cannot be delivered goes to the postmaster, once."""
    w.send("gone@grave.example", ["b@bad.example"])
    r, = w.home.wait("pm@post.example")
    assert r.mail.startswith("FROM:<>")
    assert r.block("gone@grave.example")["Status"] == "5.7.1"
    assert b"b@bad.example" in r.raw, "the first report is not in it"
    time.sleep(1.5)
    w.home.wait("pm@post.example")


def test_mixed(w):
    """One refused, one put off: the report names the first alone, and the
    second is delivered later."""
    w.send("mixed@sender.example", ["b@bad.example", "d@bad.example"])
    r, = w.home.wait("mixed@sender.example")
    assert len(r.blocks) == 1 and r.block("b@bad.example")
    assert wait_until(lambda: any("d@bad.example" in m.rcpts
                                  for m in w.hosts[BAD].messages), 8)
    time.sleep(1.2)
    w.home.wait("mixed@sender.example")


def test_hostile(w):
    """What a server says cannot break out of its field."""
    recipients = [f"{x}@wild.example" for x in WILD_REPLIES]
    w.send("wild@sender.example", recipients)
    r, = w.home.wait("wild@sender.example")
    for to in recipients:
        b = r.block(to)
        assert b["Action"] == "failed" and b["Status"][0] == "5", b.items()
        assert len(b.get_all("Action")) == len(b.get_all("Status")) == 1
        assert set(b.keys()) <= {
            "Original-Recipient", "Final-Recipient", "Action", "Status",
            "Remote-MTA", "Diagnostic-Code"}, b.keys()
    assert len(r.message.keys()) == len(set(r.message.keys()))
    assert all(c in b"\r\n\t" or 32 <= c < 127 for c in r.raw), \
        "control or 8-bit bytes"
    assert max(map(len, r.raw.split(b"\r\n"))) <= 998
    assert b"\n" not in r.raw.replace(b"\r\n", b"")


def test_loop(w):
    """What has been received a hundred times goes round in a circle."""
    for n, is_taken in ((100, True), (101, False)):
        text = "Received: by x\n" * n + SUBJECT + "\n" + BODY
        done = w.outpost.sendmail(text, "-f", "a@sender.example", "--",
                                  "loop@good.example")
        assert done.returncode == (0 if is_taken else 69), done
        try:
            w.send("a@sender.example", ["loop@good.example"], text)
            assert is_taken, "taken"
        except smtplib.SMTPDataError as error:
            assert not is_taken and error.smtp_code == 554, error
            assert error.smtp_error.startswith(b"5.4.6"), error


WILD_REPLIES = {
    "escape": b"550 5.7.1 \x1b[2J\x1b]0;owned\x07 gone\r\n",
    "latin": "550 5.7.1 Empf\u00e4nger unbekannt\r\n".encode("latin-1"),
    "utf8": "550 5.7.1 Empf\u00e4nger \u202eunbekannt \u0085\r\n".encode(),
    "lines": b"550-5.7.1 one\r\n550-5.7.1 Action: delivered\r\n"
             b"550-5.7.1 \r\n550-5.7.1 --=_boundary\r\n550 5.7.1 last\r\n",
    "long": b"550 5.7.1 " + b"x" * 1500 + b"\r\n",
    "words": b"550 5.7.1 " + b"word " * 300 + b"\r\n",
    "empty": b"550\r\n",
    "odd": b"550 5.7.1000 \r\n",
    "wrong": b"550 2.0.0 not really\r\n",
    "tab": b"550 5.1.1\ttabs\t\r\n",
}


# --- time ----------------------------------------------------------------------

def test_delay_then_end(w):
    """A notice of delay, once; then the end with the last words."""
    w.send("slow@sender.example", ["a@later.example"])
    w.send("quiet@sender.example", ["q@later.example"],
           rcpt=["NOTIFY=FAILURE"])
    w.send("delayonly@sender.example", ["o@later.example"],
           rcpt=["NOTIFY=DELAY"])
    done = w.outpost.sendmail("Subject: x\n\nx\n", "-f", "", "--",
                              "n@later.example")
    assert done.returncode == 0
    first, last = w.home.wait("slow@sender.example", 2, 15)
    b = first.block("a@later.example")
    assert b["Action"] == "delayed" and b["Status"] == "4.7.1", b.items()
    assert email.utils.parsedate_to_datetime(b["Will-Retry-Until"])
    assert first.original.get_content_type() == "text/rfc822-headers"
    b = last.block("a@later.example")
    assert b["Action"] == "failed" and b["Status"] == "4.4.7", b.items()
    assert b["Diagnostic-Code"] == "smtp; 451 4.7.1 come back later"
    assert last.original.get_content_type() == "message/rfc822"
    r, = w.home.wait("quiet@sender.example")
    assert r.block("q@later.example")["Action"] == "failed"
    r, = w.home.wait("delayonly@sender.example")
    assert r.block("o@later.example")["Action"] == "delayed"
    assert wait_until(lambda: not w.outpost.queue(), 8), w.outpost.queue()
    time.sleep(1.5)
    w.home.wait("slow@sender.example", 2)
    w.home.wait("delayonly@sender.example")
    assert not any(b"n@later.example" in m.content
                   for m in w.home.host.messages)


def attempts_of(host, address):
    """When RCPT named the address."""
    return sorted(at for c in host.connections
                  for at, x in zip(c.times, c.commands) if f"<{address}>" in x)


def test_attempts(w):
    """attempts = 3: the first try and three re-sends a second apart."""
    w.send("tries@sender.example", ["a@later.example"])
    r, = w.home.wait("tries@sender.example", 1, 12)
    b = r.block("a@later.example")
    times = attempts_of(w.hosts[LATER], "a@later.example")
    assert len(times) == 4, f"{len(times)} attempts"
    assert b["Diagnostic-Code"] == "smtp; 451 4.7.1 try 4", \
        b["Diagnostic-Code"]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert all(0.9 < g < 2.2 for g in gaps), gaps
    lines = [x for x in w.outpost.log().splitlines()
             if "to=a@later.example" in x]
    counts = [re.search(r"attempts=(\d+)", x).group(1) for x in lines]
    assert counts == ["1", "2", "3", "4"], lines


def test_refusing_host(w):
    """Nobody listens: as many attempts, and a report that says so."""
    w.send("down@sender.example", ["a@bad2.example"])
    r, = w.home.wait("down@sender.example", 1, 15)
    b = r.block("a@bad2.example")
    assert b["Status"] == "4.4.7" and "refused" in b["Diagnostic-Code"], \
        b.items()
    assert b["Diagnostic-Code"].startswith("X-Outpost;")
    assert b["Remote-MTA"] is None


def test_postmaster_gone(w):
    """The last word: a double bounce that fails is dropped, and logged."""
    w.send("gone@grave.example", ["b@bad.example"])
    assert wait_until(
        lambda: attempts_of(w.hosts[GRAVE], "pm@grave.example"), 10)
    assert wait_until(lambda: not w.outpost.queue("--destination",
                                                  "grave.example"), 5)
    time.sleep(1.5)
    assert len(attempts_of(w.hosts[GRAVE], "pm@grave.example")) == 1
    assert "to=pm@grave.example" in w.outpost.log()


def test_factor(w):
    """factor = 2: each wait is twice the one before."""
    w.send("grow@sender.example", ["a@later.example"])
    r, = w.home.wait("grow@sender.example", 1, 15)
    assert r.block("a@later.example")["Status"] == "4.4.7"
    times = attempts_of(w.hosts[LATER], "a@later.example")
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(gaps) == 3, gaps
    assert 0.9 < gaps[0] < 2 and 1.9 < gaps[1] < 3.2 and 3.8 < gaps[2] < 5.4, \
        gaps


# --- the worlds ----------------------------------------------------------------

REFUSALS = {"b": "550 5.1.1 no such user", "c": "551 5.2.1 closed",
            "null": "550 5.1.1 no such user",
            "d": ["450 4.2.1 not yet", None]}
SCRIPTS = {
    HOME: {}, BAD: {"RCPT": REFUSALS}, BAD2: {"MAIL": "550 5.7.1 not from you"},
    DSN: {"offers": (*OFFERS, "DSN")},
    LATER: {"RCPT": "451 4.7.1 come back later"},
    GRAVE: {"RCPT": "550 5.7.1 nobody home"}, GOOD: {},
    WILD: {"RCPT": WILD_REPLIES},
}
FIRST = '''postmaster = "pm@post.example"
retry { wait = 1s  factor = 1  lifetime = 1h }
'''
LIFE = '''retry { wait = 1s  factor = 1  jitter = 0%  lifetime = 6s
  warn-after = 2s }
'''
COUNT = '''postmaster = "pm@grave.example"
retry { attempts = 3  wait = 1s  factor = 1  jitter = 0% }
'''
GROW = "retry { attempts = 3  wait = 1s  factor = 2  jitter = 0% }\n"
TRIES = [f"451 4.7.1 try {i}" for i in range(1, 9)]


def worlds(folder, stage):
    first = World(folder, "first", stage, 60, FIRST, SCRIPTS)
    life = World(folder, "life", stage, 61, LIFE, SCRIPTS)
    count = World(folder, "count", stage, 62, COUNT, {
        HOME: {}, LATER: {"RCPT": TRIES}, BAD: {"RCPT": REFUSALS},
        GRAVE: {"RCPT": "550 5.7.1 nobody home"}})
    grow = World(folder, "grow", stage, 63, GROW,
                 {HOME: {}, LATER: SCRIPTS[LATER]})
    return [
        (first, [test_form, test_headers_only, test_large, test_8bit,
                 test_one_for_all, test_wishes, test_null_sender, test_double,
                 test_mixed, test_hostile, test_loop]),
        (life, [test_delay_then_end]),
        (count, [test_attempts, test_refusing_host, test_postmaster_gone]),
        (grow, [test_factor]),
    ]


def run(world, tests, failed):
    with world.outpost:
        for test in tests:
            try:
                test(world)
                print(f"ok      {test.__name__}", flush=True)
            except Exception:
                failed.append(test.__name__)
                print(f"FAILED  {test.__name__}\n{traceback.format_exc()}"
                      f"{world.outpost.text()}", flush=True)


def main():
    failed = []
    with Folder() as folder, Stage() as stage:
        threads = [threading.Thread(target=run, args=(w, tests, failed))
                   for w, tests in worlds(folder, stage)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    print(f"{len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
