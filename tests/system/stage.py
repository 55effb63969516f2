"""A stage for one child of the supervisor: this process plays the supervisor
and the keeper, so that a test decides what they do and when."""
import os
import resource
import socket
import struct
import subprocess
import tempfile
import threading

from outpost import BIN

MSG_CONFIG, MSG_LISTENER, MSG_PEER, MSG_RUN, MSG_STOP = 1, 2, 3, 4, 5
MSG_READY = 8
MSG_SUBMIT, MSG_SUBMIT_DATA, MSG_SUBMIT_END, MSG_SUBMIT_ABORT = 20, 21, 22, 23
MSG_ACCEPTED, MSG_REFUSED = 24, 25
ROLE_QUEUED = 1
LISTENER_SMTP = 1
HEADER = struct.Struct(">HHIQ")


def span(data):
    return struct.pack(">I", len(data)) + data


def frame(kind, number, payload=b"", nfds=0):
    return HEADER.pack(kind, nfds, len(payload), number) + payload


def frames(buffer):
    """Whole frames at the front of a bytearray, which they leave."""
    while len(buffer) >= HEADER.size:
        kind, _, length, number = HEADER.unpack_from(buffer)
        if len(buffer) < HEADER.size + length:
            return
        payload = bytes(buffer[HEADER.size:HEADER.size + length])
        del buffer[:HEADER.size + length]
        yield kind, number, payload


class Envelope:
    """The beginning and the recipients of an envelope."""

    def __init__(self, data):
        self.data, self.at = data, 0
        self.sender = self.span()
        self.origin, self.body, self.ret, self.utf8, _, self.priority, \
            self.uid = self.take(">BBBBBbI")
        self.login, self.client, self.envid, self.line = \
            (self.span() for _ in range(4))
        self.take(">QQ")
        self.head, self.tail = self.span(), self.span()
        _, nrefs, count = self.take(">QII")
        assert nrefs == 0
        self.recipients = []
        for _ in range(count):
            notify, = self.take(">B")
            self.recipients.append((self.span(), notify, self.span()))
        assert self.at == len(data)

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def span(self):
        length, = self.take(">I")
        self.at += length
        return self.data[self.at - length:self.at]


class Keeper(threading.Thread):
    """One stream of a client; answers each message unless told otherwise."""

    def __init__(self, sock, refuse=None, is_reading=True):
        super().__init__(daemon=True)
        self.sock, self.refuse = sock, refuse
        self.may_read = threading.Event()
        if is_reading:
            self.may_read.set()
        self.open, self.messages, self.aborted = {}, [], 0
        self.is_answering, self.waiting = True, []
        self.start()

    def run(self):
        buffer = bytearray()
        while self.may_read.wait():
            try:
                data = self.sock.recv(1 << 20)
            except OSError:
                return
            if not data:
                return
            buffer += data
            for kind, number, payload in frames(buffer):
                self.take(kind, number, payload)

    def take(self, kind, number, payload):
        if kind == MSG_SUBMIT:
            assert number not in self.open
            self.open[number] = [Envelope(payload), bytearray()]
        elif kind == MSG_SUBMIT_DATA:
            assert 0 < len(payload) <= 65536
            self.open[number][1] += payload
        elif kind == MSG_SUBMIT_ABORT:
            del self.open[number]
            self.aborted += 1
        elif kind == MSG_SUBMIT_END:
            envelope, text = self.open.pop(number)
            assert struct.unpack(">Q", payload)[0] == len(text)
            self.messages.append((envelope, bytes(text)))
            if self.is_answering:
                self.answer(number)
            else:
                self.waiting.append(number)
        else:
            raise AssertionError(kind)

    def answer(self, number):
        if self.refuse:
            verdict, status, detail = self.refuse
            payload = bytes([verdict]) + span(status) + span(detail)
            self.sock.sendall(frame(MSG_REFUSED, number, payload))
        else:
            self.sock.sendall(frame(MSG_ACCEPTED, number,
                                    struct.pack(">Q", len(self.messages))))

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class Stage:
    """One child with its listeners on 127.0.0.1 (ports in self.ports)."""

    def __init__(self, program, conf, listeners=((),), nofile=None,
                 keeper=True, env=None):
        self.wire, child = socket.socketpair(socket.AF_UNIX)
        self.log = tempfile.TemporaryFile()

        def prepare():
            os.dup2(child.fileno(), 3, inheritable=True)
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        self.process = subprocess.Popen(
            [BIN / program], preexec_fn=prepare, close_fds=False,
            stdin=subprocess.DEVNULL, stderr=self.log,
            env=dict(os.environ, **(env or {})))
        child.close()
        with tempfile.TemporaryFile() as file:
            file.write(conf.encode())
            file.seek(0)
            self.send(MSG_CONFIG, 0, span(b"test.conf"), [file.fileno()])
        self.ports = [self.listen(i, files)
                      for i, files in enumerate(listeners)]
        self.keeper = self.attach() if keeper else None
        self.send(MSG_RUN)
        try:
            ready = self.wire.recv(HEADER.size)
        except ConnectionResetError:
            ready = b""
        if not ready:
            self.process.wait()
            raise AssertionError(self.read_log())
        assert HEADER.unpack(ready)[0] == MSG_READY

    def send(self, kind, number=0, payload=b"", fds=()):
        socket.send_fds(self.wire, [frame(kind, number, payload, len(fds))],
                        list(fds))

    def listen(self, index, files):
        """files: certificate and key, or the path of a unix socket alone."""
        path = files[0] if len(files) == 1 else None
        if path:
            files = ()
        with socket.socket(socket.AF_UNIX if path else socket.AF_INET) \
                as listener:
            listener.bind(path or ("127.0.0.1", 0))
            listener.listen(1024)
            opened = [open(f) for f in files]
            self.send(MSG_LISTENER, LISTENER_SMTP, struct.pack(">I", index),
                      [listener.fileno()] + [f.fileno() for f in opened])
            for file in opened:
                file.close()
            return path or listener.getsockname()[1]

    def attach(self, **how):
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with theirs:
            self.send(MSG_PEER, ROLE_QUEUED, b"", [theirs.fileno()])
        return Keeper(ours, **how)

    def read_log(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def memory(self):
        """Private bytes of the child."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024

    def stop(self, grace_ms=1000):
        if self.process.poll() is None:
            try:
                self.send(MSG_STOP, 0, struct.pack(">I", grace_ms))
            except BrokenPipeError:
                status = self.process.wait(5)
                raise RuntimeError(
                    f"ended by itself: {status}\n{self.read_log()[-3000:]}")
            try:
                self.process.wait(grace_ms / 1000 + 5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.wire.close()
        return self.process.returncode
