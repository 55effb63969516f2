"""The commands that look into the queue and change it, against a running
instance: filters, fields, changes, refusals, exit codes, other users."""
import json
import os
import pathlib
import pty
import re
import smtplib
import socket
import subprocess
import sys
import threading
import time
import traceback

from outpost import BIN, Folder, Instance, wait_until
from scripted import SILENT, Answer, Stage

GOOD, LATER, MUTE, HOME, BAD, EXTRA = range(1, 7)
OTHER = 1  # not "nobody": the keeper may run as that
LIST_FIELDS = {"id", "state", "sender", "recipient", "destination", "line",
               "size_bytes", "accepted", "attempts", "next_try", "expires",
               "reply", "status", "cause"}
LINE_FIELDS = {"group", "line", "pid", "state", "peer", "message", "since",
               "sent"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
CONF = '''
retry {{ wait = 1h  factor = 1  lifetime = 2d }}
line "default" {{ count = 4 }}
line "bulk" {{ count = 2 }}
sender "@news.example" {{ line = "bulk" }}
{routes}
'''


class World:
    def __init__(self, folder, stage):
        self.stage = stage
        self.hosts = {n: stage.host(f"127.0.70.{n}", script)
                      for n, script in {
                          GOOD: {}, LATER: {"RCPT": "451 4.7.1 not now"},
                          MUTE: {"end": Answer(then=SILENT),
                                 "offers": ()},
                          HOME: {}, BAD: {"RCPT": "550 5.1.1 nobody"},
                          EXTRA: {}}.items()}
        names = {"good": GOOD, "later": LATER, "mute": MUTE, "home": HOME,
                 "bad": BAD}
        self.routes = "".join(self.route(f"{name}.example", n)
                              for name, n in names.items())
        self.outpost = Instance(folder / "o", CONF.format(routes=self.routes))

    def route(self, domain, number):
        return f'route "{domain}" {{ servers = ' \
            f'{{ "smtp://127.0.70.{number}:{self.stage.port}" }} }}\n'

    def send(self, to, sender="a@home.example", subject="x", body="body\n",
             **options):
        """By sendmail; the id."""
        text = f"Subject: {subject}\n\n{body}"
        to = [to] if isinstance(to, str) else to
        done = self.outpost.sendmail(text, "-v", "-f", sender, "--", *to,
                                     **options)
        assert done.returncode == 0, done.stderr
        found = re.search(rb"\b[0-9A-Z]{13}\b", done.stdout + done.stderr)
        assert found, (done.stdout, done.stderr)
        return found.group().decode()

    def run(self, *words, expect=0, **options):
        done = self.outpost.command(*words, check=False, **options)
        assert done.returncode == expect, \
            (words, done.returncode, done.stdout, done.stderr)
        return done

    def queue(self, *words, expect=0, **options):
        return self.run("queue", *words, expect=expect, **options).stdout

    def ids(self, *filters):
        return [i["id"] for i in self.outpost.queue(*filters)]

    def item(self, id_):
        items = [i for i in self.outpost.queue() if i["id"] == id_]
        return items[0] if items else None

    def wait_state(self, id_, state, seconds=8):
        item = wait_until(lambda: (i := self.item(id_)) and
                          i["state"] == state and i, seconds, 0.1)
        assert item, (id_, state, self.item(id_))
        return item

    def unmute(self):
        for c in self.hosts[MUTE].connections:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def clean(self):
        self.run("queue", "delete", "--all", "--yes")
        assert wait_until(lambda: not self.outpost.queue(), 8, 0.1), \
            self.outpost.queue()


# --- looking -----------------------------------------------------------------

def test_outbound_off(w):
    """Off: mail is accepted and waits, and says why; on: it leaves."""
    w.run("outbound", "off")
    id_ = w.send("off@good.example")
    time.sleep(0.5)
    item = w.item(id_)
    assert item["state"] == "ready" and item["cause"] == "outbound-off", item
    assert item["attempts"] == 0
    story = w.outpost.json("queue", "explain", id_)[0]
    assert story["next"]["change"] == "outpost outbound on", story
    assert "outbound" in w.queue("explain", id_)
    assert re.search(r"outbound +off", w.run("status").stdout)
    assert any(o.get("outbound") is False for o in w.outpost.json("status"))
    w.run("outbound", "on")
    assert wait_until(lambda: not w.item(id_), 5)
    assert not any(o.get("outbound") is False
                   for o in w.outpost.json("status"))


def test_outbound_destination(w):
    """Off for one destination: the others go on."""
    w.run("outbound", "off", "--destination", "route:good.example")
    one, two = w.send("o@good.example"), w.send("o@home.example")
    assert wait_until(lambda: not w.item(two), 5)
    item = w.item(one)
    assert item["state"] == "ready" and item["cause"] == "outbound-off", item
    story = w.outpost.json("queue", "explain", one)[0]
    assert story["next"]["change"] == \
        "outpost outbound on --destination route:good.example", story
    assert "route:good.example" in w.run("status").stdout
    w.run("outbound", "on", "--destination", "route:good.example")
    assert wait_until(lambda: not w.item(one), 5)


def test_outbound_line(w):
    """Off for one line group."""
    w.run("outbound", "off", "--line", "bulk")
    one = w.send("o@good.example", "x@news.example")
    two = w.send("o@good.example")
    assert wait_until(lambda: not w.item(two), 5)
    assert w.item(one)["state"] == "ready"
    w.run("outbound", "on", "--line", "bulk")
    assert wait_until(lambda: not w.item(one), 5)


def test_fields(w):
    """The names and forms of list --json."""
    id_ = w.send("f@later.example", subject="é")
    item = w.wait_state(id_, "deferred")
    assert set(item) >= LIST_FIELDS, LIST_FIELDS - set(item)
    assert item["sender"] == "a@home.example"
    assert item["recipient"] == "f@later.example"
    assert item["destination"] == "later.example"
    assert item["reply"] == "451 4.7.1 not now" and item["status"] == "4.7.1"
    assert item["cause"] == "retry" and item["attempts"] == 1
    assert isinstance(item["size_bytes"], int) and item["size_bytes"] > 100
    for name in ("accepted", "next_try", "expires"):
        assert TIME.match(item[name]), item[name]
    text = w.queue("list")
    assert id_ in text and "451 4.7.1 not now" in text
    story = w.outpost.json("queue", "explain", id_)[0]
    assert set(story) >= LIST_FIELDS | {"chain", "next"}
    assert all(set(s) == {"what", "when", "why", "from"}
               for s in story["chain"])
    assert set(story["next"]) >= {"what", "when", "change"}
    assert story["chain"][-1]["from"] == "451 4.7.1 not now"
    assert story["next"]["when"] == item["next_try"]
    assert id_ in story["next"]["change"]
    shown = w.outpost.json("queue", "show", id_)[0]
    assert shown["recipients"][0]["recipient"] == "f@later.example"
    assert shown["attempts"][0]["reply"] == "451 4.7.1 not now"
    w.clean()


def test_filters(w):
    """Each filter of list alone, and two together."""
    w.run("outbound", "off")
    one = w.send("x@good.example", "one@home.example")
    two = w.send(["y@later.example", "Z@good.example"], "two@news.example")
    three = w.send("z@later.example", "Three@Home.Example")
    w.queue("hold", three)
    for filters, expected in (
            ([], [one, two, two, three]),
            (["--sender", "one@home.example"], [one]),
            (["--sender", "@home.example"], [one, three]),
            (["--sender", "T*"], [two, two, three]),
            (["--recipient", "z@good.example"], [two]),
            (["--recipient", "@later.example"], [two, three]),
            (["--recipient", "z@*"], [two, three]),
            (["--destination", "good.example"], [one, two]),
            (["--destination", "GOOD.example"], [one, two]),
            (["--destination", "nowhere.example"], []),
            (["--state", "held"], [three]),
            (["--state", "ready"], [one, two, two]),
            (["--state", "deferred"], []),
            (["--older", "1h"], []),
            (["--newer", "1h"], [one, two, two, three]),
            (["--sender", "@home.example", "--state", "ready"], [one]),
            (["--recipient", "@good.example", "--sender",
              "@news.example"], [two])):
        assert sorted(w.ids(*filters)) == sorted(expected), \
            (filters, w.outpost.queue(*filters))
        count = int(w.queue("list", *filters, "--count"))
        assert count == len(expected), (filters, count)
    assert w.outpost.json("queue", "list", "--count") == [{"count": 4}]
    assert len(w.ids("--limit", "2")) == 2
    assert "Nothing" in w.queue("list", "--state", "deferred")
    w.clean()
    w.run("outbound", "on")
    one = w.send("x@later.example", "l@news.example")
    w.send("x@later.example")
    assert w.wait_state(one, "deferred")["line"].startswith("bulk/")
    assert w.ids("--line", "bulk") == [one]
    assert w.ids("--cause", "retry", "--line", "b*") == [one]
    w.clean()


def test_show(w):
    """Header, body, and the message as it is."""
    body = "first\n\n.dot\nlast\n"
    id_ = w.send("s@later.example", subject="show me", body=body)
    w.wait_state(id_, "deferred")
    raw = subprocess.run(
        [BIN / "outpost", "queue", "show", id_, "--raw", "-c",
         w.outpost.conf], stdout=subprocess.PIPE, check=True).stdout
    head, _, text = raw.partition(b"\r\n\r\n")
    assert text == body.replace("\n", "\r\n").encode(), raw
    assert b"Subject: show me" in head and head.startswith(b"Received:")
    assert w.item(id_)["size_bytes"] == len(raw)
    headers = w.queue("show", id_, "--headers")
    assert "Subject: show me" in headers and "first" not in headers
    shown = w.queue("show", id_, "--body")
    assert "Subject: show me" not in shown and ".dot" in shown
    assert "a@home.example" in shown and "451 4.7.1 not now" in shown
    w.queue("show", "0000000000000", expect=1)
    w.queue("show", "not-an-id", expect=2)
    w.queue("show", expect=2)
    w.clean()


def test_lines(w):
    """A line at work is seen with its peer and message."""
    id_ = w.send("l@mute.example")
    assert wait_until(lambda: w.hosts[MUTE].commands()[-1:] == ["DATA"], 5)
    time.sleep(0.3)
    item = w.item(id_)
    assert item["state"] == "active", item
    lines = w.outpost.json("lines")
    assert len(lines) == 6 and all(set(x) >= LINE_FIELDS for x in lines)
    busy = [x for x in lines if x["message"] == id_]
    assert len(busy) == 1 and busy[0]["state"] == "sending", busy
    assert busy[0]["peer"].startswith("127.0.70.3:") and \
        busy[0]["group"] == "default" and TIME.match(busy[0]["since"])
    assert pathlib.Path(f"/proc/{busy[0]['pid']}").exists()
    text = w.run("lines").stdout
    assert id_ in text and "127.0.70.3" in text
    # under way: left alone
    for command in ("retract", "hold", "delete", "bounce"):
        done = w.run("queue", command, id_, expect=1)
        assert "being delivered" in done.stderr, done.stderr
    assert w.item(id_)["state"] == "active"
    w.unmute()
    item = w.wait_state(id_, "uncertain")
    assert item["uncertain"] == 1 and item["attempts"] == 1, item
    w.clean()


# --- changing ----------------------------------------------------------------

def test_hold_release(w):
    """By id and by filter; held mail stays until it is released."""
    w.run("outbound", "off")
    ids = [w.send("h@good.example", f"h{i}@home.example") for i in range(3)]
    assert "1 message held" in w.queue("hold", ids[0])
    assert w.item(ids[0])["cause"] == "hold"
    assert w.item(ids[0])["next_try"] is None
    assert w.outpost.json("queue", "hold", "--sender", "h1@home.example") == \
        [{"action": "hold", "messages": 1, "dry_run": False}]
    w.run("outbound", "on")
    assert wait_until(lambda: not w.item(ids[2]), 5)
    time.sleep(0.5)
    assert w.item(ids[0])["state"] == w.item(ids[1])["state"] == "held"
    w.queue("retry", ids[0], expect=1)  # a hold is not ended by a retry
    time.sleep(0.3)
    assert w.item(ids[0])["state"] == "held"
    w.queue("release", "--state", "held", "--yes")
    assert wait_until(lambda: not w.outpost.queue(), 5), w.outpost.queue()


def test_hold_for(w):
    """A hold for a time ends by itself."""
    w.run("outbound", "off")
    id_ = w.send("t@good.example")
    w.queue("hold", id_, "--for", "2s")
    w.run("outbound", "on")
    assert w.item(id_)["state"] == "held" and w.item(id_)["next_try"]
    time.sleep(0.7)
    assert w.item(id_)
    assert wait_until(lambda: not w.item(id_), 6), w.item(id_)


def test_confirmation(w):
    """More than one: asked on a terminal, refused elsewhere without --yes."""
    ids = [w.send("c@later.example") for _ in range(3)]
    for id_ in ids:
        w.wait_state(id_, "deferred")
    done = w.run("queue", "delete", "--destination", "later.example",
                 expect=2, stdin=subprocess.DEVNULL)
    assert "3 messages" in done.stderr and "--yes" in done.stderr
    w.run("queue", "delete", *ids, expect=2, stdin=subprocess.DEVNULL)
    assert len(w.ids()) == 3
    assert "3 messages would be deleted" in \
        w.queue("delete", "--all", "--dry-run")
    assert len(w.ids()) == 3
    assert on_terminal(w, "n") == 1 and len(w.ids()) == 3
    assert on_terminal(w, "y") == 0
    assert wait_until(lambda: not w.ids(), 5)
    # one message needs no answer, whichever way it is named
    one = w.send(["c@later.example", "d@later.example"])
    w.wait_state(one, "deferred")
    assert "1 message deleted" in w.queue("delete", "--sender",
                                          "a@home.example")
    w.queue("delete", expect=2)
    w.queue("delete", one, "--all", expect=2)


def on_terminal(w, answer):
    parent, child = pty.openpty()
    with subprocess.Popen(
            [BIN / "outpost", "queue", "delete", "--all", "-c",
             w.outpost.conf], stdin=child, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) as process:
        os.write(parent, f"{answer}\n".encode())
        status = process.wait(10)
    os.close(parent)
    os.close(child)
    return status


def test_retract(w):
    """Only what has not been sent to anybody."""
    w.run("outbound", "off")
    id_ = w.send(["r@good.example", "r@later.example"], "r@home.example")
    assert "1 message retracted" in w.queue("retract", "--sender",
                                            "r@home.example")
    assert not w.item(id_)
    id_ = w.send(["r@good.example", "r@later.example"])
    w.run("outbound", "on")
    assert wait_until(lambda: len(w.outpost.queue()) == 1, 5)
    w.wait_state(id_, "deferred")
    w.queue("retract", id_, expect=1)  # one has it already
    assert w.item(id_)
    w.queue("retract", "0000000000001", expect=1)
    w.clean()


def test_retry(w):
    """Now, not in an hour; --reset forgets."""
    id_ = w.send("again@later.example")
    assert w.wait_state(id_, "deferred")["attempts"] == 1
    w.queue("retry", id_)
    assert wait_until(lambda: w.item(id_)["attempts"] == 2, 8, 0.1), \
        w.item(id_)
    w.queue("retry", "--recipient", "again@later.example", "--reset")
    assert wait_until(
        lambda: (i := w.item(id_))["attempts"] == 1 and
        i["state"] == "deferred", 8, 0.1), w.item(id_)
    assert len(w.outpost.json("queue", "show", id_)[0]["attempts"]) == 1
    done = w.outpost.sendmail("", "-qRagain@")
    assert done.returncode == 0, done.stderr
    assert wait_until(lambda: w.item(id_)["attempts"] == 2, 8, 0.1)
    done = w.outpost.sendmail("", "-qI" + id_)
    assert done.returncode == 0, done.stderr
    assert wait_until(lambda: w.item(id_)["attempts"] == 3, 8, 0.1)
    done = w.outpost.sendmail("", "-qSa@home")
    assert done.returncode == 0, done.stderr
    assert wait_until(lambda: w.item(id_)["attempts"] == 4, 8, 0.1)
    done = w.outpost.sendmail("", "-q")
    assert done.returncode == 0, done.stderr
    assert wait_until(lambda: w.item(id_)["attempts"] == 5, 8, 0.1)
    w.clean()


def test_bounce(w):
    """The sender is told with the last reply; delete tells nobody."""
    before = len(w.hosts[HOME].messages)
    id_ = w.send("b@later.example", "bounce@home.example")
    w.wait_state(id_, "deferred")
    assert "1 message bounced" in w.queue("bounce", id_)
    assert wait_until(lambda: len(w.hosts[HOME].messages) > before, 8)
    report = w.hosts[HOME].messages[-1]
    assert report.rcpts == ["bounce@home.example"]
    assert b"Action: failed" in report.content and \
        b"by the administrator" in report.content and \
        b"That server refuses" not in report.content, report.content
    id_ = w.send("b@later.example", "delete@home.example")
    w.wait_state(id_, "deferred")
    w.queue("delete", id_)
    time.sleep(1.5)
    assert not any("delete@home.example" in m.rcpts
                   for m in w.hosts[HOME].messages)
    assert not w.outpost.queue()


def test_mailq(w):
    """The classic look, by each of its names."""
    env = dict(os.environ, OUTPOST_CONF=str(w.outpost.conf))

    def mailq(*words):
        return subprocess.run(words, env=env, stdout=subprocess.PIPE,
                              text=True, check=True, timeout=20).stdout

    assert "Mail queue is empty" in mailq(BIN / "mailq")
    id_ = w.send(["m@later.example", "n@later.example"], "m@home.example")
    w.wait_state(id_, "deferred")
    text = mailq(BIN / "mailq")
    for word in (id_, "m@home.example", "m@later.example", "n@later.example",
                 "451 4.7.1 not now", "in 1 Request."):
        assert word in text, text
    assert text.count(id_) == 1
    assert mailq(BIN / "sendmail", "-bp") == text
    w.clean()


# --- running -----------------------------------------------------------------

def test_reload(w):
    """A broken file is refused and all goes on; a good one takes effect."""
    good = w.outpost.conf.read_text()
    w.outpost.conf.write_text(good + 'nonsense = "x"\n')
    line = good.count("\n") + 1
    done = w.run("reload", expect=78)
    assert f"outpost.conf:{line}:" in done.stderr and \
        "nonsense" in done.stderr, done.stderr
    done = w.run("check", expect=78)
    assert f"outpost.conf:{line}:" in done.stderr + done.stdout
    w.outpost.conf.write_text(good)
    id_ = w.send("still@good.example")
    assert wait_until(lambda: not w.item(id_), 5)
    w.outpost.conf.write_text(good + w.route("extra.example", EXTRA))
    w.run("check")
    w.run("reload")
    w.send("r@extra.example")
    assert wait_until(lambda: w.hosts[EXTRA].messages, 8)
    w.outpost.conf.write_text(good)
    w.run("reload")


def test_status(w):
    """Programs, and the queue in numbers."""
    objects = w.outpost.json("status")
    programs = {o["program"]: o for o in objects if "program" in o}
    for name in ("outpost", "outpost-queued", "outpost-runner",
                 "outpost-resolve", "outpost-remote", "outpost-smtpd"):
        assert name in programs, programs
    text = w.run("status").stdout
    assert "outpost-queued" in text and "accepted" in text


def test_ledger(w):
    """accepted = delivered + failed + retracted + queued."""
    w.send(["1@good.example", "2@bad.example", "3@later.example"])
    gone = w.send("4@later.example")
    w.wait_state(gone, "deferred")
    w.queue("delete", gone)
    w.send("5@bad.example", "<>")
    assert wait_until(lambda: all(i["state"] == "deferred"
                                  for i in w.outpost.queue()), 10)
    time.sleep(1.2)
    s = w.outpost.stats()
    assert s["accepted"] == s["delivered"] + s["failed"] + s["retracted"] + \
        s["recipients"], s
    assert s["delivered"] and s["failed"] and s["retracted"] and \
        s["recipients"] == 1, s
    assert s["states"]["deferred"]["recipients"] == 1, s["states"]
    assert s["destinations"][0]["name"] == "later.example"
    assert "accepted" in w.queue("stats")
    w.run("queue", "verify")
    w.clean()


def test_race(w):
    """Two operators against the lines: each message has one fate."""
    before = w.outpost.stats()
    had = len(w.hosts[GOOD].messages)
    is_over = threading.Event()

    def operator(*commands):
        while not is_over.is_set():
            for command in commands:
                w.outpost.command("queue", *command, "--sender",
                                  "race@home.example", "--yes", check=False)

    operators = [threading.Thread(target=operator, args=commands)
                 for commands in ([["hold"], ["release"]],
                                  [["retract"], ["retry"]])]
    for o in operators:
        o.start()
    with smtplib.SMTP("127.0.0.1", w.outpost.port) as client:
        for i in range(200):
            client.sendmail("race@home.example", [f"race{i}@good.example"],
                            f"Subject: {i}\n\nx\n")
    is_over.set()
    for o in operators:
        o.join()
    w.outpost.command("queue", "release", "--all", "--yes", check=False)
    assert wait_until(lambda: not w.outpost.queue(), 10), w.outpost.queue()
    after = w.outpost.stats()
    delivered, retracted = (after[x] - before[x]
                            for x in ("delivered", "retracted"))
    print("       ", delivered, "delivered,", retracted, "retracted")
    arrived = [m.rcpts[0] for m in w.hosts[GOOD].messages[had:]]
    assert delivered + retracted == 200, (delivered, retracted)
    assert len(arrived) == len(set(arrived)) == delivered, \
        (len(arrived), delivered)
    assert after["uncertain"] == before["uncertain"]


def test_usage(w):
    """Exit codes of wrong calls."""
    for words, code in (
            (["queue"], 2), (["queue", "dance"], 2),
            (["queue", "list", "--bogus"], 2),
            (["queue", "list", "--state", "bogus"], 2),
            (["queue", "list", "--limit", "0"], 2),
            (["queue", "list", "--older", "soon"], 2),
            (["queue", "show", "--limit", "3"], 2),
            (["queue", "hold", "0000000000000", "--for", "ever"], 2),
            (["queue", "retry"], 2), (["outbound"], 2),
            (["outbound", "maybe"], 2), (["bogus"], 2),
            (["outbound", "off", "--line", "nosuch"], 1),
            (["queue", "-h"], 0), (["queue", "list", "-h"], 0)):
        done = w.run(*words, expect=code)
        if code:
            assert done.stderr, words


def test_other_user(w):
    """Everybody sees his own mail and may retract it, and no more."""
    if os.geteuid() != 0:
        print("        (as root only)")
        return
    w.run("outbound", "off")
    theirs = w.send("o@good.example", "theirs@home.example")
    own = w.send("o@good.example", "own@home.example", user=OTHER,
                 group=OTHER, extra_groups=[])
    nobody = {"user": OTHER, "group": OTHER, "extra_groups": []}
    seen = w.run("queue", "list", "--json", **nobody).stdout.splitlines()
    assert [json.loads(x)["id"] for x in seen] == [own], seen
    assert w.run("queue", "list", "--count", **nobody).stdout == "1\n"
    done = w.run("queue", "show", theirs, expect=1, **nobody)
    unknown = w.run("queue", "show", "0000000000000", expect=1, **nobody)
    assert done.stderr.replace(theirs, "ID") == \
        unknown.stderr.replace("0000000000000", "ID"), done.stderr
    w.run("queue", "show", theirs, "--raw", expect=1, **nobody)
    w.run("queue", "explain", theirs, expect=1, **nobody)
    assert own in w.run("queue", "show", own, **nobody).stdout
    for command in ("retract", "delete", "hold", "release", "bounce",
                    "retry"):
        w.run("queue", command, theirs, expect=1, **nobody)
    assert w.item(theirs)["state"] == "ready"
    for words in (["outbound", "on"], ["reload"], ["stop"],
                  ["log", "detailed"]):
        w.run(*words, expect=1, **nobody)
    w.run("status", **nobody)
    w.run("lines", **nobody)
    assert "1 message retracted" in \
        w.run("queue", "retract", own, **nobody).stdout
    assert w.ids() == [theirs]
    w.run("outbound", "on")
    assert wait_until(lambda: not w.ids(), 5)


def test_hostile_reply(w):
    """What a server says does not reach a terminal as it is."""
    w.hosts[EXTRA].script["RCPT"] = \
        b"451 4.7.1 \x1b[31mred\x07 \xff\xe2\x80\xae end\r\n"
    conf = w.outpost.conf.read_text()
    w.outpost.conf.write_text(conf + w.route("extra.example", EXTRA))
    w.run("reload")
    id_ = w.send("e@extra.example", subject="\x1b[2J")
    w.wait_state(id_, "deferred")
    for words in (["list"], ["show", id_], ["explain", id_],
                  ["list", "--json"], ["show", id_, "--json"]):
        text = w.queue(*words)
        assert all(c == "\n" or " " <= c for c in text), (words, text)
        assert "\u202e" not in text
    w.clean()
    w.outpost.conf.write_text(conf)
    w.run("reload")


def test_not_running(w):
    """Stopped: the spool is read, nothing can be changed."""
    w.run("outbound", "off")
    id_ = w.send("n@good.example")
    w.outpost.stop()
    assert w.ids() == [id_]
    assert id_ in w.queue("show", id_)
    assert w.outpost.stats()["recipients"] == 1
    w.queue("delete", id_, expect=1)
    w.run("status", expect=1)
    w.run("lines", expect=1)
    w.run("outbound", "on", expect=1)
    w.run("reload", expect=1)
    assert w.ids() == [id_]
    w.outpost.start()
    assert wait_until(lambda: not w.ids(), 8)


TESTS = [test_outbound_off, test_outbound_destination, test_outbound_line,
         test_fields, test_filters, test_show, test_lines, test_hold_release,
         test_hold_for, test_confirmation, test_retract, test_retry,
         test_bounce, test_mailq, test_reload, test_status, test_ledger,
         test_race, test_usage, test_other_user, test_hostile_reply, test_not_running]


def main():
    only = sys.argv[1:]
    failed = 0
    with Folder() as folder, Stage() as stage:
        w = World(folder, stage)
        with w.outpost:
            for test in TESTS:
                if only and test.__name__ not in only:
                    continue
                start = time.monotonic()
                try:
                    test(w)
                    print(f"ok      {test.__name__} "
                          f"({time.monotonic() - start:.1f} s)", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAILED  {test.__name__}\n"
                          f"{traceback.format_exc()}", flush=True)
                    recover(w)
            if failed:
                print(w.outpost.text())
    print(f"{failed} failed")
    return 1 if failed else 0


def recover(w):
    """The next test finds what it expects."""
    w.unmute()
    if not w.outpost.process:
        w.outpost.start()
    for words in (["outbound", "on"],
                  ["outbound", "on", "--line", "bulk"],
                  ["queue", "delete", "--all", "--yes"]):
        w.outpost.command(*words, check=False)


if __name__ == "__main__":
    sys.exit(main())
