"""outpost-probe: a server looked at as a line would meet it, without mail. The
test is outpost-dnscheck and speaks its messages."""
import os
import socket
import struct
import subprocess
import sys

from outpost import BIN, Folder, free_port
from peer import Peer
from scripted import OFFERS, SILENT, Answer, Stage
from stage import span

PROBE, PROBED = 140, 141
CONNECT, GREET, MAIL, RCPT, DONE = range(5)
OK, TEMP, PERM = 0, 1, 2


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values if len(values) > 1 else values[0]

    def text(self):
        size = self.take(">I")
        value = self.data[self.at:self.at + size]
        self.at += size
        return value.decode("utf-8", "replace")

    def outcome(self):
        return self.take(">B"), self.text(), self.text()


class Probed:
    def __init__(self, data):
        r = Reader(data)
        self.step, self.outcome, self.code = \
            r.take(">B"), r.outcome(), r.take(">H")
        self.address, self.source, self.banner, self.ehlo, self.tls = \
            (r.text() for _ in range(5))
        self.tls_result, self.expires = r.take(">BQ")
        self.names = r.text()
        self.connect_ms, self.took_ms = r.take(">II")
        self.rcpts = [r.outcome() for _ in range(r.take(">B"))]
        self.talk = r.text()
        assert r.at == len(data)

    def __repr__(self):
        return str(vars(self))


def host_of(name, addresses, port):
    return (span(name) + struct.pack(">HHBB", 0, port, 0, len(addresses))
            + b"".join(span(socket.inet_aton(a)) for a in addresses)
            + struct.pack(">BBB", 0, 0, 0) + span(b"") + span(b"")
            + struct.pack(">BB", 0, 0) + span(b""))


def probe(addresses, port, rcpts=(), mail=True, timeout_ms=5000, tls=1):
    session = (span(b"look") + span(b"me.example.net") + b"\0"
               + struct.pack(">BHBBB", tls, 1, 0, 0, 0) + span(b"") * 5
               + b"\0\0" + struct.pack(">H", 1)
               + host_of(b"mx.example.org", addresses, port))
    return (struct.pack(">IB", timeout_ms, mail) + span(b"from@x.example")
            + struct.pack(">B", len(rcpts))
            + b"".join(span(r.encode()) for r in rcpts) + session)


class Prober:
    def __enter__(self):
        ours, theirs = socket.socketpair()
        # descriptor 3, as dnscheck gives it
        self.process = subprocess.Popen(
            [BIN / "outpost-probe"], pass_fds=[3], stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        theirs.close()
        self.peer = Peer(ours)
        return self

    def ask(self, number, *args, **more):
        assert self.peer.send(PROBE, number, probe(*args, **more))

    def answers(self, count):
        got = {}
        while len(got) < count:
            answer = self.peer.receive(20)
            assert answer and answer[0] == PROBED, answer
            got[answer[1]] = Probed(answer[2])
        return got

    def __exit__(self, *_):
        self.peer.sock.close()
        assert self.process.wait(10) == 0, "it does not end"


def check_answers(stage):
    good, picky = f"127.0.11.{1}", "127.0.11.2"
    stage.host(good)
    stage.host(picky, {"RCPT": {"no": "550 5.1.1 nobody", "yes": None}})
    stage.host("127.0.11.3", {"connect": "554 5.7.1 you are listed"})
    stage.host("127.0.11.4", {"connect": Answer(then=SILENT)})
    stage.host("127.0.11.5", {"MAIL": "550 5.7.25 no reverse name"})
    stage.host("127.0.11.6", {"offers": ("8BITMIME",)})
    with Prober() as prober:
        port = stage.port
        prober.ask(1, [good], port, ["a@b.example"])
        prober.ask(2, [picky], port, ["no@b.example", "yes@b.example"])
        prober.ask(3, ["127.0.11.3"], port, ["a@b.example"])
        prober.ask(4, ["127.0.11.4"], port, timeout_ms=700)
        prober.ask(5, ["127.0.11.5"], port, ["a@b.example"])
        prober.ask(6, ["127.0.11.6"], port, mail=False)
        prober.ask(7, ["127.0.11.99"], free_port("127.0.11.99"))
        prober.ask(8, ["127.0.11.6"], port, tls=2)
        got = prober.answers(8)
    one = got[1]
    assert (one.step, one.outcome[0]) == (DONE, OK), one
    assert one.banner.startswith("220 ") and "PIPELINING" in one.ehlo, one
    assert one.address == f"{good}:{port}" and one.source == "127.0.0.1", one
    assert [r[0] for r in one.rcpts] == [OK], one
    assert "> RSET" in one.talk and "> QUIT" in one.talk, one.talk
    assert (got[2].step, [r[0] for r in got[2].rcpts]) == (DONE, [PERM, OK])
    assert "nobody" in got[2].rcpts[0][2], got[2]
    assert got[3].step == GREET and "listed" in got[3].outcome[2], got[3]
    assert got[3].banner.startswith("554 "), got[3]
    assert got[4].step == GREET and "timed out" in got[4].outcome[2], got[4]
    assert (got[5].step, got[5].outcome[:2]) == (MAIL, (PERM, "5.7.25"))
    assert got[6].step == DONE and "MAIL" not in got[6].talk, got[6]
    assert got[7].step == CONNECT and "refused" in got[7].outcome[2], got[7]
    assert got[8].step == GREET and got[8].outcome[1] == "4.7.4", got[8]
    assert stage.hosts[good].messages == []


def check_many(stage):
    """More than there are processes for: each is answered once."""
    with Prober() as prober:
        for number in range(150):
            prober.ask(number, ["127.0.11.1"], stage.port, ["a@b.example"])
        got = prober.answers(150)
    assert all(p.step == DONE for p in got.values())


def check_careless():
    with Prober() as prober:
        assert prober.peer.send(PROBE, 5, b"\xff" * 40)
        answer = prober.answers(1)[5]
        assert answer.outcome[0] == TEMP and "broke off" in answer.outcome[2]
        prober.peer.send(99, 1, b"")
        assert prober.peer.receive(10) is None, "garbage was let pass"


def main():
    with Folder(), Stage() as stage:
        check_answers(stage)
        check_many(stage)
        check_careless()
    print("probe: all is well")


if __name__ == "__main__":
    sys.exit(main())
