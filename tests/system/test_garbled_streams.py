"""Streams between our own programs, forged or garbled (hazard 26): what a line,
the spawner, the resolver or the keeper says to the runner, and what the runner
or the listener says to the keeper. That peer is cut off, what it held is
recorded as uncertain, and everything else goes on.
"""
import os
import select
import socket
import struct
import time

import peer
from outpost import Folder, wait_until
from peer import Peer, envelope
from stage import MSG_LISTENER, MSG_PEER, Stage, frame, span

QUEUED, RUNNER, RESOLVE, REMOTE, SMTPD = 1, 2, 3, 4, 5
LISTENER_QUEUE = 3
RESOLVE_, RESOLVED = 50, 51
LINE_START, LINE_STARTED, LINE_ENDED, LINE_FAILED = 60, 61, 62, 63
SESSION, DELIVER, SESSION_END, RESULT, SESSION_DONE, LINE_STATE = range(70, 76)
UNTOUCHED, DELIVERED, DEFERRED, FAILED_, UNCERTAIN = range(5)


def result(outcomes, host=b"mx.y.example", address=b"192.0.2.1:25", tls=b"",
           count=None):
    """outcomes: (index, result, code, status, reply)"""
    data = span(host) + span(address) + span(tls)
    data += struct.pack(">IBH", 1, 0,
                        len(outcomes) if count is None else count)
    for index, kind, code, status, reply in outcomes:
        data += struct.pack(">HBH", index, kind, code) + span(status) + \
            span(reply) + struct.pack(">BIHB", 0, 0, 0, 0)  # no reply rule
    return data


def good(index=0):
    return (index, DELIVERED, 250, b"2.0.0", b"250 ok")


def attempt(message, outcomes, delivery=0, next_try_ms=1 << 50, reports=None,
            **named):
    data = struct.pack(">QHQBB", message, delivery, next_try_ms, 1, 0)
    data += span(b"default/1") + span(b"retry") + result(outcomes, **named)
    return data + (bytes(len(outcomes)) if reports is None else reports)


def session_report():
    return b"\0" + span(b"") * 2 + span(b"mx") + \
        struct.pack(">IIIBBB", 1, 1, 1, 0, 0, 0)


class Actor:
    """One child, whose supervisor and neighbours are played here."""

    def __init__(self, program, conf):
        self.stage = Stage(program, conf, listeners=(), keeper=False)

    def attach(self, role):
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with theirs:
            self.stage.send(MSG_PEER, role, b"", [theirs.fileno()])
        return Peer(ours)

    def log(self):
        return self.stage.read_log()

    def check(self):
        assert self.stage.process.poll() is None, self.log()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.log()[-4000:])
        self.stage.process.kill()
        self.stage.process.wait()  # or stop would still talk to it
        self.stage.stop()


class RunnerWorld(Actor):
    """A runner whose keeper has two messages for two destinations."""

    NAMES = ("one", "two", "three", "four")
    CONF = 'localname = "mx.example.com"\nline "default" { count = 2 }\n' + \
        "".join(f'route "{name}.example" {{ servers = '
                f'{{ "smtp://192.0.2.{i}:25" }} }}\n'
                for i, name in enumerate(NAMES))

    def __init__(self, recipients=2):
        super().__init__("outpost-runner", self.CONF)
        self.recipients = recipients
        self.outcomes, self.lines, self.jobs = {}, {}, {}
        self.unclaimed, self.submitted = [], []
        self.messages = {1: b"one.example", 2: b"two.example"}
        self.attach_all()

    def attach_all(self):
        self.resolver = self.attach(RESOLVE)
        self.spawner = self.attach(REMOTE)
        self.keeper = self.attach(QUEUED)

    def waiting(self, message):
        return struct.pack(
            ">QHQQQQHHHbBBI", message, 0, 1, int(time.time()), 0, 100,
            self.recipients, 0, 0, 0, 0, 1, 0) + \
            span(self.messages[message]) + span(b"a@x.example") + \
            span(b"") * 2

    def job(self, message):
        data = struct.pack(">QHQQBBBBBbB", message, 0, int(time.time()), 100,
                           0, 0, 1, 0, 0, 0, 0)
        data += span(b"a@x.example") + span(b"")
        data += struct.pack(">H", self.recipients)
        for i in range(self.recipients):
            data += struct.pack(">HBBH", i, 0, 0, 0)
            data += span(b"u%d@" % i + self.messages[message]) + span(b"") * 4
        return data + span(b"Subject: x\r\n\r\nx\r\n")

    # --- what the runner says --------------------------------------------

    def on_keeper(self, kind, number, payload):
        if kind == peer.DUE:
            for message in self.messages:
                if message not in self.outcomes:
                    self.keeper.send(peer.WAITING, number,
                                     self.waiting(message))
            self.keeper.send(peer.DUE_END, number, struct.pack(">QB", 0, 0))
        elif kind == peer.CLAIM:
            message, = struct.unpack_from(">Q", payload)
            self.keeper.send(peer.JOB, number, self.job(message))
        elif kind == peer.UNCLAIM:
            self.unclaimed.append(struct.unpack_from(">Q", payload)[0])
        elif kind == peer.OUTCOME:
            message, = struct.unpack_from(">Q", payload)
            self.outcomes.setdefault(message, []).append(payload)
            self.keeper.send(peer.RECORDED, number)
        elif kind == peer.SUBMIT:
            self.submitted.append(payload)

    def on_resolver(self, kind, number, payload):
        self.resolver.send(RESOLVED, number, b"\0" + span(b"") * 2 +
                           struct.pack(">I", 60) + span(b"site") +
                           struct.pack(">H", 1) + span(b"mx.y.example") +
                           struct.pack(">HHBB", 0, 25, 0, 1) +
                           span(b"\xc0\0\2\1") +
                           b"\0\0\0" + span(b"") * 2 + b"\0\0" +  # policy
                           span(b"") +  # ticket
                           span(b""))  # lines

    def on_spawner(self, kind, number, payload):
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        self.lines[number] = Peer(ours)
        with theirs:
            self.spawner.send(LINE_STARTED, number, struct.pack(">I", 4711),
                              [theirs.fileno()])

    def on_line(self, line, kind, number, payload):
        if kind == SESSION:
            line.session = number
        elif kind == DELIVER:
            message, = struct.unpack_from(">Q", payload)
            self.jobs[message] = (line, number)
        elif kind == SESSION_END:
            line.send(SESSION_DONE, number, session_report())

    def handlers(self):
        yield self.keeper, self.on_keeper
        yield self.resolver, self.on_resolver
        yield self.spawner, self.on_spawner
        for line in list(self.lines.values()):
            yield line, lambda *f, of=line: self.on_line(of, *f)

    def until(self, what, seconds=10):
        """Play the neighbours until what() is true."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, self.log()[-3000:]
            open_ = [(p, h) for p, h in self.handlers()
                     if p.sock.fileno() >= 0]
            ready, _, _ = select.select([p.sock for p, _ in open_], [], [],
                                        0.1)
            for p, handler in open_:
                if p.sock not in ready:
                    continue
                got = p.receive(1)
                if got is None:
                    p.close()
                while got:
                    handler(*got)
                    got = p.got and p.got.pop(0)
        self.check()

    def both_at_lines(self):
        self.until(lambda: len(self.jobs) == 2)
        bad, good_ = self.jobs[1], self.jobs[2]
        assert bad[0] is not good_[0]
        return *bad, *good_

    def is_uncertain(self, message):
        """What came of it is recorded as unknown, once."""
        records = self.outcomes.get(message, [])
        return len(records) == 1 and b"the line died" in records[0]

    def check_other(self, line, number):
        """The other line delivers as if nothing had happened."""
        line.send(RESULT, number,
                  result([good(i) for i in range(self.recipients)]))
        self.until(lambda: 2 in self.outcomes)
        assert b"250 ok" in self.outcomes[2][0]


def forged_results():
    """(name, frames of the bad line) given (its job, the other's job)."""
    def one(name, *outcomes, **named):
        return name, lambda own, _: frame(RESULT, own,
                                          result(outcomes, **named))
    both = good(0), good(1)
    yield "another job", lambda own, other: frame(RESULT, 4000, result(both))
    yield "other's job", lambda own, other: frame(RESULT, other, result(both))
    yield "job 0", lambda own, other: frame(RESULT, 0, result(both))
    yield one("no such recipient", good(0), good(7))
    yield one("the same twice", good(0), good(0))
    yield one("one too many", good(0), good(1), good(2))
    yield one("many", *([good(0)] * 5000))
    yield one("count and nothing", count=100)
    yield one("count beyond", *both, count=65535)
    yield one("no such result", good(0), (1, 9, 250, b"2.0.0", b"x"))
    yield one("newline in the reply", good(0),
              (1, DELIVERED, 250, b"2.0.0", b"250 ok\r\n\r\nBcc: x"))
    yield one("newline in the status", good(0),
              (1, DELIVERED, 250, b"2.0.0\r\nX:", b"x"))
    yield one("newline in the host", *both, host=b"a\nb")
    yield one("NUL in the address", *both, address=b"a\0b")
    yield one("long status", good(0), (1, 1, 250, b"2" * 12, b"x"))
    yield one("long reply", good(0), (1, 1, 250, b"2.0.0", b"x" * 250000))
    yield "cut off in the middle", lambda own, _: frame(
        RESULT, own, result(both)[:-3])
    yield "something behind it", lambda own, _: frame(
        RESULT, own, result(both) + b"x")
    yield "nothing", lambda own, _: frame(RESULT, own)
    yield "1 GB", lambda own, _: struct.pack(">HHIQ", RESULT, 0, 1 << 30, own)
    yield "a runner's message", lambda own, _: frame(SESSION, 1, b"x")
    yield "the keeper's message", lambda own, _: frame(peer.RECORDED, own)
    yield "type 0", lambda own, _: bytes(64)
    yield "noise", lambda own, _: b"\xff" * 1000
    yield "a bad state", lambda own, _: frame(LINE_STATE, 0,
                                              b"\x09" + span(b"x"))
    yield "newline in the peer", lambda own, _: frame(
        LINE_STATE, 0, b"\x01" + span(b"a\nb"))
    yield "a bad session report", lambda own, _: frame(SESSION_DONE, 1, b"x")
    yield "descriptors announced", lambda own, _: struct.pack(
        ">HHIQ", LINE_STATE, 4, 5, 0) + b"\0" + span(b"")


def garbled_lines():
    for name, make in forged_results():
        with RunnerWorld() as w:
            bad, own, line, other = w.both_at_lines()
            bad.raw(make(own, other))
            w.until(lambda: w.is_uncertain(1))
            w.check_other(line, other)
            assert len(w.outcomes[1]) == 1, name
        print("  line:", name, flush=True)
    with RunnerWorld() as w:
        w.both_at_lines()[0].raw(b"\xff" * 16)
        w.until(lambda: w.is_uncertain(1))
        # another is started in its place
        w.messages = {3: b"three.example", 4: b"four.example"}
        for message in w.messages:
            w.keeper.send(peer.WAITING, 0, w.waiting(message))
        w.until(lambda: 3 in w.jobs or 4 in w.jobs)


def said_twice():
    """The second final word is not heard: the first is on record."""
    with RunnerWorld() as w:
        bad, own, line, other = w.both_at_lines()
        answer = frame(RESULT, own, result([good(0), good(1)]))
        bad.raw(answer + answer)
        w.until(lambda: 1 in w.outcomes and bad.sock.fileno() < 0)
        w.check_other(line, other)
        assert len(w.outcomes[1]) == 1 and b"250 ok" in w.outcomes[1][0]


def done_with_jobs_in_hand():
    """A line that ends its session and keeps a job: it is found out when it
    ends the next one."""
    with RunnerWorld() as w:
        bad, own, line, other = w.both_at_lines()
        w.messages = {3: b"three.example"}
        bad.send(SESSION_DONE, bad.session, session_report())
        w.keeper.send(peer.WAITING, 0, w.waiting(3))
        w.until(lambda: 3 in w.jobs)
        assert w.jobs[3][0] is bad
        bad.send(RESULT, w.jobs[3][1], result([good(0), good(1)]))
        w.until(lambda: w.is_uncertain(1) and 3 in w.outcomes)
        w.check_other(line, other)


def half_a_result():
    """What a line did not say of a recipient is uncertain, not lost."""
    with RunnerWorld() as w:
        bad, own, line, other = w.both_at_lines()
        bad.send(RESULT, own, result([good(1)]))
        w.until(lambda: 1 in w.outcomes)
        assert b"did not say" in w.outcomes[1][0]
        w.check_other(line, other)


def junk_descriptors_of_a_line():
    with RunnerWorld() as w:
        bad, own, line, other = w.both_at_lines()
        with open("/dev/null") as null:
            bad.send(LINE_STATE, 0, b"\1" + span(b"x"), [null.fileno()])
        w.until(lambda: w.is_uncertain(1))
        w.check_other(line, other)


def garbled_neighbours():
    """Resolver, spawner, keeper: cut off, and taken on again when new."""
    noise = [b"\xff" * 100, bytes(100), frame(RESOLVED, 1, b"x"),
             frame(LINE_STARTED, 1, b"xxxx"), frame(LINE_FAILED, 1, b"x"),
             frame(peer.JOB, 1, b"x"), frame(peer.RECORDED, 1),
             frame(peer.GONE, 1), frame(peer.ACCEPTED, 1, bytes(8)),
             frame(peer.WAITING, 0, b"x"), frame(peer.DUE_END, 1, b"x"),
             frame(peer.CHANGED, 1, b"x"), frame(peer.CHANGE_DONE, 1),
             struct.pack(">HHIQ", peer.JOB, 0, 1 << 20 | 1, 1)]
    with RunnerWorld() as w:
        for data in noise:
            for role in (RESOLVE, REMOTE, QUEUED):
                with w.attach(role) as bad:
                    bad.raw(data)
                    bad.receive(0.05)
                w.check()
        w.attach_all()
        w.until(lambda: len(w.jobs) == 2)
        line, own = w.jobs[1]
        line.send(RESULT, own, result([good(0), good(1)]))
        w.check_other(*w.jobs[2])
        w.until(lambda: 1 in w.outcomes)


def wrong_jobs():
    """A keeper that gives what was not claimed; then a sound one."""
    with RunnerWorld() as w:
        for bend in (lambda j: struct.pack(">Q", 77) + j[8:],
                     lambda j: j[:-1], lambda j: j + b"x", lambda j: b""):
            job = w.job
            w.job = lambda message: bend(job(message))
            w.until(lambda: w.keeper.sock.fileno() < 0)
            del w.job
            assert not w.jobs and not w.outcomes
            w.keeper = w.attach(QUEUED)
        w.until(lambda: len(w.jobs) == 2)


# --- the keeper ----------------------------------------------------------

class KeeperWorld(Actor):
    def __init__(self, folder):
        super().__init__("outpost-queued", 'localname = "mx.example.com"\n'
                         f'spool = "{folder}/spool"\n')
        self.path = str(folder / "queue.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            os.chmod(self.path, 0o666)
            listener.listen(10)
            listener.setblocking(False)
            self.stage.send(MSG_LISTENER, LISTENER_QUEUE, bytes(4),
                            [listener.fileno()])
        self.smtpd = self.attach(SMTPD)
        self.number = 0

    def submit(self, **named):
        self.number += 1
        return peer.submit(self.smtpd, self.number, **named)

    def stats(self):
        with Peer(self.path) as control:
            control.send(peer.STATS, 1)
            values = struct.unpack(">22Q", control.expect(peer.STATS_DONE))
        names = ("accepted", "delivered", "failed", "retracted", "uncertain")
        stats = dict(zip(names, values[10:15]), recipients=values[1])
        assert stats["accepted"] == stats["delivered"] + stats["failed"] + \
            stats["retracted"] + stats["recipients"], stats
        return stats

    def claim(self, runner, message, delivery=0):
        runner.send(peer.CLAIM, 5, struct.pack(">QHB", message, delivery, 0))
        kind = runner.receive()[0]
        while kind in (peer.MORE_DUE, peer.WAITING, peer.CHANGED):
            kind = runner.receive()[0]
        return kind


def garbled_runner(folder):
    with KeeperWorld(folder) as w:
        first = w.submit()
        cases = {
            "noise": b"\xff" * 100,
            "1 GB": struct.pack(">HHIQ", peer.OUTCOME, 0, 1 << 30, 1),
            "a listener's word": frame(peer.LIST, 1, peer.list_query()),
            "claim for nothing": frame(peer.CLAIM, 1, struct.pack(
                ">QHB", first, 0, 2)),
            "half a claim": frame(peer.CLAIM, 1, bytes(5)),
            "half an unclaim": frame(peer.UNCLAIM, 1, bytes(9)),
            "an outcome of nothing": frame(peer.OUTCOME, 1),
            "an outcome of noise": frame(peer.OUTCOME, 1, b"\xff" * 90),
            "newline in the reply": frame(peer.OUTCOME, 1, attempt(
                first, [(0, 1, 250, b"2.0.0", b"a\nb")])),
            "no such result": frame(peer.OUTCOME, 1, attempt(
                first, [(0, 5, 250, b"2.0.0", b"x")])),
            "no such report": frame(peer.OUTCOME, 1, attempt(
                first, [good()], reports=b"\7")),
            "too many recipients": frame(peer.OUTCOME, 1, attempt(
                first, [good(i) for i in range(101)])),
            "half a window": frame(peer.WINDOW, 1, b"x"),
            "half a due query": frame(peer.DUE, 1, b"x"),
            "half an envelope": frame(peer.SUBMIT, 1, envelope()[:-2]),
        }
        for name, data in cases.items():
            with w.attach(RUNNER) as bad:
                bad.raw(data)
                assert bad.is_cut_off(), name
            stats = w.stats()
            assert (stats["delivered"], stats["recipients"]) == (0, 1), name
            w.check()
        print("  runner: cut off for", ", ".join(cases), flush=True)
        unfounded(w, first)


def unfounded(w, first):
    """Well-formed, but about what the runner does not have."""
    with w.attach(RUNNER) as runner:
        for message in (first, first + 1, 0, (1 << 64) - 1):
            runner.send(peer.OUTCOME, 1, attempt(message, [good()]))
            runner.skip_to(peer.RECORDED)
            runner.send(peer.UNCLAIM, 1, struct.pack(">QH", message, 0))
        assert w.claim(runner, first + 1) == peer.GONE
        assert w.claim(runner, first, 1) == peer.GONE
        assert w.claim(runner, first) == peer.JOB
        assert w.claim(runner, first) == peer.GONE
        # recipients that the delivery has not; then the right one, twice
        runner.send(peer.OUTCOME, 1, attempt(
            first, [good(7), good(65535), good(65535)]))
        runner.skip_to(peer.RECORDED)
        assert w.stats()["recipients"] == 1
        runner.send(peer.CHANGE, 2, peer.change(3, first))
        runner.skip_to(peer.CHANGE_DONE)
        assert w.claim(runner, first) == peer.JOB
        for _ in range(2):
            runner.send(peer.OUTCOME, 1, attempt(first, [good()]))
            runner.skip_to(peer.RECORDED)
        stats = w.stats()
        assert (stats["delivered"], stats["recipients"]) == (1, 0), stats
        # a report about nothing, and about what asked for none
        other = w.submit()
        for about, refs in ((12345, [(0, 0, 1)]), (other, [(0, 0, 1)]),
                            (other, [(65535, 65535, 4)] * 50)):
            runner.send(peer.SUBMIT, 3, envelope(
                sender=b"", origin=3, about=about, refs=refs))
            runner.send(peer.END, 3, bytes(8))
            got = runner.receive()
            while got and got[0] in (peer.MORE_DUE, peer.CHANGED):
                got = runner.receive()
            assert got and got[0] in (peer.ACCEPTED, peer.REFUSED), got
        w.stats()
        assert w.claim(runner, other) == peer.JOB
        # an abrupt end: what it held is uncertain
    assert wait_until(lambda: w.stats()["uncertain"] == 1)
    assert w.submit()


def garbled_listener(folder):
    with KeeperWorld(folder) as w:
        begin = frame(peer.SUBMIT, 1, envelope())
        cases = {
            "noise": b"\xff" * 100,
            "begun twice": begin + begin,
            "the runner's word": frame(peer.CLAIM, 1, bytes(11)),
            "a chunk too long": struct.pack(">HHIQ", peer.DATA, 0, 65537, 1),
            "half an end": begin + frame(peer.END, 1, b"x"),
        }
        for name, data in cases.items():
            with w.attach(SMTPD) as bad:
                bad.raw(data)
                assert bad.is_cut_off(), name
            assert w.submit(), name
        assert w.stats()["recipients"] == len(cases)


def main():
    for scene in (garbled_lines, said_twice, done_with_jobs_in_hand,
                  half_a_result, junk_descriptors_of_a_line,
                  garbled_neighbours, wrong_jobs):
        print(scene.__name__, flush=True)
        scene()
    for scene in (garbled_runner, garbled_listener):
        print(scene.__name__, flush=True)
        with Folder() as folder:
            os.chmod(folder, 0o777)
            scene(folder)


if __name__ == "__main__":
    main()
