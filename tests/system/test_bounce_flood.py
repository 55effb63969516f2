"""Thousands of failures at once (hazard 32): each failed recipient is reported
once, in one report a message (more only where there are too many for one),
bounded in size and number; reports that fail go to the postmaster, once, and
what fails there too ends.
"""
import collections
import re
import smtplib
import time

from outpost import Folder, Instance, wait_until
from scripted import Stage

HOME, BAD, POST = 1, 2, 3
REFUSED = {"RCPT": "550 5.1.1 no such user " + "x" * 400}
BODY = "Subject: %s\nFrom: <s@home.example>\n\n" + "a line of the body\n" * 20
REPORT_MAX = 2 << 20  # a thousand recipients and what was said of each


class World:
    def __init__(self, folder, stage):
        self.hosts = {n: stage.host(f"127.0.11.{n}", script) for n, script in
                      {HOME: {}, BAD: REFUSED, POST: {}}.items()}
        routes = "".join(
            f'route "{domain}.example" {{ servers = '
            f'{{ "smtp://127.0.11.{n}:{stage.port}" }} }}\n'
            for domain, n in {"home": HOME, "bad": BAD, "grave": BAD,
                              "post": POST}.items())
        self.outpost = Instance(
            folder / "a", 'postmaster = "pm@post.example"\n'
            "limits { recipients = 10000 }\n" + routes)

    def send(self, sender, recipients, body):
        with smtplib.SMTP("127.0.0.1", self.outpost.port) as client:
            assert not client.sendmail(sender, recipients, body)

    def take(self, number):
        """The reports that a host has got since, when all is quiet."""
        assert wait_until(lambda: not self.outpost.queue("--limit", "1"), 60,
                          0.2), self.outpost.stats()
        found = self.hosts[number].messages
        for connection in list(self.hosts[number].connections):
            connection.messages.clear()
        assert all(m.mail.startswith("FROM:<>") for m in found)
        assert all(len(m.content) < REPORT_MAX for m in found)
        return found


def finals(report):
    return re.findall(rb"Final-Recipient: rfc822; ?(\S+)", report.content)


def many_messages(w):
    count = 1000
    with smtplib.SMTP("127.0.0.1", w.outpost.port) as client:
        for n in range(count):
            client.sendmail(f"s{n}@home.example", [
                f"u{n}-{i}@bad.example" for i in range(5)], BODY % n)
    reports = w.take(HOME)
    assert len(reports) == count, len(reports)
    for report in reports:
        number = report.rcpts[0].partition("@")[0][1:]
        assert sorted(finals(report)) == [
            f"u{number}-{i}@bad.example".encode() for i in range(5)], report
    return f"{len(reports)} reports"


def many_recipients(w):
    """And a body that is too large to be returned to its sender."""
    to = [f"u{i}@bad.example" for i in range(5000)]
    body = BODY % "big" + ("z" * 70 + "\n") * 5000
    w.send("s@home.example", to, body)
    reports = w.take(HOME)
    told = collections.Counter(f for r in reports for f in finals(r))
    assert set(told) == {t.encode() for t in to}, len(told)
    assert set(told.values()) == {1}, told.most_common(3)
    # lines fail a hundred at a time; five thousand reports would be a storm
    assert len(reports) <= 50, len(reports)
    assert not any(b"zzzz" in r.content for r in reports)
    size = sum(len(r.content) for r in reports)
    assert size < 2000 * len(to), size
    return f"{len(reports)} reports, {size} bytes"


def double(w):
    """Nobody takes the reports: the postmaster gets each, once."""
    count = 300
    with smtplib.SMTP("127.0.0.1", w.outpost.port) as client:
        for n in range(count):
            client.sendmail(f"s{n}@grave.example", [f"u{n}@bad.example"],
                            BODY % n)
    reports = w.take(POST)
    senders = sorted(finals(r)[0] for r in reports)
    assert senders == sorted(f"s{n}@grave.example".encode()
                             for n in range(count)), len(reports)
    assert all(r.rcpts == ["pm@post.example"] for r in reports)
    assert not w.take(HOME)
    return f"{len(reports)} reports"


def triple(w):
    """Not even the postmaster: that is the end."""
    w.hosts[POST].script.update(REFUSED)
    before = w.outpost.stats()
    count = 300
    with smtplib.SMTP("127.0.0.1", w.outpost.port) as client:
        for n in range(count):
            client.sendmail(f"s{n}@grave.example", [f"u{n}@bad.example"],
                            BODY % n)
    assert not w.take(POST) and not w.take(HOME)
    after = w.outpost.stats()
    made = after["accepted_messages"] - before["accepted_messages"]
    assert made == 3 * count, made  # message, report, report of the report
    assert after["failed"] - before["failed"] == 3 * count, (before, after)
    return f"{made} messages in all"


def main():
    with Folder() as folder, Stage() as stage:
        w = World(folder, stage)
        with w.outpost:
            for scene in (many_messages, many_recipients, double, triple):
                began = time.monotonic()
                told = scene(w)
                print(f"ok {scene.__name__}: {told}, "
                      f"{time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
