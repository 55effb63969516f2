"""outpost-resolve, with outpost-fetch or without: the test is its supervisor
and its runner, asks and takes its answers apart."""
import os
import socket
import struct
import subprocess
import tempfile

from outpost import BIN
from stage import HEADER, MSG_CONFIG, MSG_PEER, MSG_READY, MSG_RUN, MSG_STOP, \
    frame, frames, span

MSG_RESOLVE, MSG_RESOLVED, MSG_FETCH = 50, 51, 52
ROLE_RUNNER, ROLE_RESOLVE, ROLE_FETCH = 2, 3, 6
MX, HOST = 1, 2
OK, TEMP, PERM = 0, 1, 2
KINDS = ["none", "dane", "dane-blind", "sts"]


class Policy:
    """struct host_policy"""

    def __init__(self, answer):
        kind, shadow, secure = answer.take(">BBB")
        self.kind, self.is_shadow, self.is_secure = \
            KINDS[kind], bool(shadow), bool(secure)
        self.domain, self.evidence = answer.text(), answer.text()
        self.names = [answer.text() for _ in range(answer.take(">B")[0])]
        self.tlsa = [answer.take(">BBB") + (answer.span().hex(),)
                     for _ in range(answer.take(">B")[0])]

    def __repr__(self):
        return f"<{self.kind}{' shadow' if self.is_shadow else ''}" \
            f"{' secure' if self.is_secure else ''} {self.domain!r} " \
            f"{self.names} {self.tlsa} {self.evidence!r}>"


class Host(tuple):
    """(name, preference, addresses, why), and its policy."""

    def __new__(cls, answer):
        name = answer.text()
        preference, _, _, count = answer.take(">HHBB")
        addresses = []
        for _ in range(count):
            raw = answer.span()
            addresses.append(socket.inet_ntop(
                socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw))
        why = None
        if count == 0:
            why = (answer.take(">B")[0], answer.text(), answer.text())
        self = super().__new__(cls, (name, preference, addresses, why))
        self.policy = Policy(answer)
        assert answer.span() == b""  # no ticket
        return self


class Answer:
    def __init__(self, data):
        self.data, self.at = data, 0
        self.verdict, = self.take(">B")
        self.status, self.detail = self.text(), self.text()
        self.ttl, = self.take(">I")
        self.site = self.text()
        count, = self.take(">H")
        self.hosts = [Host(self) for _ in range(count)]
        self.lines = self.text()
        assert self.at == len(data)

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def span(self):
        length, = self.take(">I")
        self.at += length
        return self.data[self.at - length:self.at]

    def text(self):
        return self.span().decode("ascii")

    def names(self):
        return [h[0] for h in self.hosts]

    def __repr__(self):
        return f"{self.verdict} {self.status} {self.detail!r} ttl={self.ttl}" \
            f" site={self.site} {self.hosts}"


class Program:
    """One child; this process is its supervisor. peers: {role: socket that the
    child is to have}"""

    def __init__(self, name, conf, peers):
        self.wire, child = socket.socketpair(socket.AF_UNIX)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [BIN / name], close_fds=False,
            preexec_fn=lambda: os.dup2(child.fileno(), 3, inheritable=True),
            stdin=subprocess.DEVNULL, stderr=self.log)
        child.close()
        with tempfile.TemporaryFile() as file:
            file.write(conf.encode())
            file.seek(0)
            self.send(MSG_CONFIG, 0, span(b"test.conf"), [file.fileno()])
        for role, theirs in peers.items():
            with theirs:
                self.send(MSG_PEER, role, b"", [theirs.fileno()])
        self.send(MSG_RUN)
        ready = self.wire.recv(HEADER.size)
        assert ready and HEADER.unpack(ready)[0] == MSG_READY, self.text()

    def text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def send(self, kind, number=0, payload=b"", fds=()):
        socket.send_fds(self.wire, [frame(kind, number, payload, len(fds))],
                        list(fds))

    def stop(self):
        self.send(MSG_STOP, 0, struct.pack(">I", 1000))
        assert self.process.wait(5) == 0, self.text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Fetcher(Program):
    """outpost-fetch; end is what outpost-resolve is to have."""

    def __init__(self, conf):
        self.end, theirs = socket.socketpair(socket.AF_UNIX)
        super().__init__("outpost-fetch", conf, {ROLE_RESOLVE: theirs})


class Resolver(Program):
    """One outpost-resolve; this process is its runner too."""

    def __init__(self, conf, wants_policy=False, fetcher=None):
        self.wants_policy = wants_policy
        self.peer, theirs = socket.socketpair(socket.AF_UNIX)
        peers = {ROLE_RUNNER: theirs}
        if fetcher:
            peers[ROLE_FETCH] = fetcher.end
        super().__init__("outpost-resolve", conf, peers)
        self.peer.settimeout(60)
        self.buffer, self.number = bytearray(), 0

    def ask_all(self, questions):
        """[(kind, name)]: the answers in that order."""
        first = self.number + 1
        for kind, name in questions:
            self.number += 1
            payload = struct.pack(">B", kind) + span(name.encode()) + \
                struct.pack(">HBB", 25, 0, self.wants_policy)
            self.peer.sendall(frame(MSG_RESOLVE, self.number, payload))
        answers = {}
        while len(answers) < len(questions):
            data = self.peer.recv(1 << 20)
            assert data, self.text()
            self.buffer += data
            for kind, number, payload in frames(self.buffer):
                assert kind == MSG_RESOLVED and number not in answers
                answers[number] = Answer(payload)
        return [answers[first + i] for i in range(len(questions))]

    def ask(self, name, kind=MX):
        return self.ask_all([(kind, name)])[0]
