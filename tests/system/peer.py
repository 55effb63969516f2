"""A peer that speaks the messages between programs (common/messages.h), well
or badly: for what a receiver does with it."""
import os
import socket
import struct
import time

from stage import frame, frames, span

SUBMIT, DATA, END, ABORT, ACCEPTED, REFUSED = 20, 21, 22, 23, 24, 25
WINDOW, DUE, CLAIM, UNCLAIM, OUTCOME = 30, 31, 32, 33, 34
WAITING, DUE_END, MORE_DUE, CHANGED, JOB, GONE, RECORDED = range(35, 42)
LIST, SHOW, GET_BODY, CHANGE, STATS = range(80, 85)
ITEM, ATTEMPT, ENVELOPE, LIST_END, CHANGE_DONE, STATS_DONE, FAILED = \
    range(85, 92)
STATUS, STATUS_LINE, MSG_END = 110, 111, 112
STRANGER = 54321  # a user who is nobody here


class Peer:
    """A client of a local socket (its path), or the owner of a stream."""

    def __init__(self, where):
        if isinstance(where, socket.socket):
            self.sock = where
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(where))
        self.buffer, self.got = bytearray(), []

    def send(self, kind, number=0, payload=b"", fds=()):
        """False when the other side has cut us off."""
        data = frame(kind, number, payload, len(fds))
        try:
            if fds:
                socket.send_fds(self.sock, [data], list(fds))
            else:
                self.sock.sendall(data)
            return True
        except OSError:
            return False

    def raw(self, data, fds=()):
        try:
            if fds:
                socket.send_fds(self.sock, [data], list(fds))
            else:
                self.sock.sendall(data)
            return True
        except OSError:
            return False

    def receive(self, seconds=10):
        """The next frame (kind, number, payload); None at the end, False
        when nothing came in time."""
        deadline = time.monotonic() + seconds
        while not self.got:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 20)
            except TimeoutError:
                return False
            except OSError:
                return None
            if not data:
                return None
            self.buffer += data
            self.got += frames(self.buffer)
        return self.got.pop(0)

    def expect(self, kind, seconds=10):
        """The payload of the next frame, which has to be of that kind."""
        got = self.receive(seconds)
        assert got and got[0] == kind, f"{got} where {kind} was expected"
        return got[2]

    def skip_to(self, kind, seconds=10):
        """(number, payload) of the next frame of that kind."""
        deadline = time.monotonic() + seconds
        while True:
            got = self.receive(deadline - time.monotonic())
            assert got, f"{got} where {kind} was expected"
            if got[0] == kind:
                return got[1], got[2]

    def is_cut_off(self, seconds=10):
        """Whether the other side ends the connection, whatever it says."""
        deadline = time.monotonic() + seconds
        while True:
            got = self.receive(deadline - time.monotonic())
            if not got:
                return got is None

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def envelope(sender=b"a@x.example", to=(b"b@y.example",), origin=1, body=0,
             ret=0, uid=0xffffffff, login=b"", client=b"", line=b"", hold=0,
             head=b"Received: by test id ", tail=b"; now", about=0, refs=()):
    data = span(sender) + struct.pack(">BBBBBbI", origin, body, ret, 0, 0, 0,
                                      uid)
    data += span(login) + span(client) + span(b"") + span(line)
    data += struct.pack(">QQ", hold, 0) + span(head) + span(tail)
    data += struct.pack(">QI", about, len(refs))
    data += b"".join(struct.pack(">HHB", *r) for r in refs)
    data += struct.pack(">I", len(to))
    return data + b"".join(b"\0" + span(t) + span(b"") for t in to)


def submit(peer, number=1, text=b"Subject: x\r\n\r\nHello\r\n", **named):
    """Send one message; the id it was accepted with."""
    peer.send(SUBMIT, number, envelope(**named))
    for i in range(0, len(text), 65536):
        peer.send(DATA, number, text[i:i + 65536])
    peer.send(END, number, struct.pack(">Q", len(text)))
    return struct.unpack(">Q", peer.expect(ACCEPTED))[0]


def filter_of(message=0, uid=0xffffffff):
    return struct.pack(">Qb", message, -1) + span(b"") * 5 + \
        struct.pack(">QQI", 0, 0, uid)


def list_query(most=1000, message=0):
    return filter_of(message) + struct.pack(">QHHIB", 0, 0, 0, most, 0)


def change(action, message=0, until=(1 << 64) - 1):
    return struct.pack(">BQB", action, until, 0) + filter_of(message) + \
        struct.pack(">QHHI", 0, 0, 0, 1000)


def as_user(uid, action):
    """Run action in a child that is that user; its exit status, 0 when it
    returned."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            action()
            status = 0
        except BaseException as error:  # the child must end here
            print(f"as uid {uid}: {error!r}", flush=True)
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
