"""outpost-dnscheck at work: running it, what it found, zones to which its
remedies are applied, resolvers that are slow, counted or hostile."""
import collections
import json
import pathlib
import socket
import struct
import subprocess
import threading
import time

import dns
from outpost import BIN


class Found:
    """One run: exit status, seconds, output, findings as objects."""

    def __init__(self, conf, *options):
        began = time.monotonic()
        done = subprocess.run(
            [BIN / "outpost", "dnscheck", "-c", conf, "--json", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
            check=False)
        self.seconds = time.monotonic() - began
        self.status, self.errors = done.returncode, done.stderr.decode()
        self.text = done.stdout.decode()
        self.all = [json.loads(line) for line in self.text.splitlines()]

    def line(self, name):
        return [f for f in self.all if f["line"] == name]

    def faults(self, name, families=("address-", "reverse-", "name-")):
        """{code: finding} of a line group, without what is ok and what other
        families say."""
        return {f["code"]: f for f in self.line(name)
                if f["status"] != "ok" and f["code"].startswith(families)}

    def code(self, code):
        found = [f for f in self.all if f["code"] == code]
        assert len(found) == 1, (code, self)
        return found[0]

    def __repr__(self):
        return f"exit {self.status}\n{self.errors}{self.text}"


class Zones:
    """Zones as lists of (owner, type, data), all names full with their last
    dot: a remedy's record can be applied."""

    def __init__(self, *names):
        self.zones = {name: [] for name in names}

    def zone_of(self, owner):
        fits = [z for z in self.zones
                if owner == z + "." or owner.endswith("." + z + ".")]
        return max(fits, key=len)

    def add(self, record):
        owner, kind, data = record.replace(" IN ", " ", 1).split(None, 2)
        self.zones[self.zone_of(owner)].append((owner, kind, data))

    def apply(self, record):
        """Published instead of what that owner has of the type, and instead of
        a CNAME."""
        owner, _, kind, _ = record.split(None, 3)
        zone = self.zone_of(owner)
        self.zones[zone] = [r for r in self.zones[zone]
                            if r[0] != owner or r[1] not in (kind, "CNAME")]
        self.add(record)

    def text(self):
        return {zone: "".join(f"{o} IN {k} {d}\n" for o, k, d in records)
                for zone, records in self.zones.items()}


class Served:
    """Zones served by nsd, resolved by unbound, until the end of the block.
    signer, signed: as for Nsd; anchors: other files than the signer's."""

    def __init__(self, folder, zones, signer=None, signed=(), anchors=None):
        folder = pathlib.Path(folder)
        folder.mkdir()
        # what unbound would answer itself: networks for documentation
        extra = "".join(f'  local-zone: "{z}" nodefault\n'
                        for z in zones if z.endswith(".arpa"))
        # what stands above the zones is empty, and not asked for elsewhere
        tops = {z.split(".")[-1] for z in zones} - set(zones) - {"arpa"}
        extra += "".join(f'  local-zone: "{t}." static\n' for t in tops)
        extra += "".join(f'  local-zone: "{z}." transparent\n'
                         for z in zones if z.split(".")[-1] in tops)
        self.nsd = dns.Nsd(folder, zones, signer, signed)
        try:
            if anchors is None:
                anchors = signer.anchors if signer else ()
            self.unbound = dns.Unbound(folder, zones, self.nsd.port, extra,
                                       anchors)
        except Exception:
            self.nsd.stop()
            raise
        self.port = self.unbound.port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unbound.stop()
        self.nsd.stop()


def question_of(query):
    """(name, type) of a packet."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    return ".".join(labels).lower(), \
        struct.unpack_from(">H", query, at + 1)[0]


class Front:
    """A resolver before others: UDP and TCP at one port; what it does is
    decided by answer(query, by_tcp), which returns packets."""

    def __init__(self):
        self.port = dns.free_port()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        self.asked = collections.Counter()
        self.lock = threading.Lock()
        self.is_over = False
        self.threads = []

    def answer(self, query, by_tcp):
        raise NotImplementedError

    def count(self, query):
        with self.lock:
            self.asked[question_of(query)] += 1

    def serve_udp(self):
        self.udp.settimeout(0.1)
        while not self.is_over:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                continue
            threading.Thread(target=self.reply, args=[query, peer],
                             daemon=True).start()

    def reply(self, query, peer):
        self.count(query)
        for packet in self.answer(query, False):
            try:
                self.udp.sendto(packet, peer)
            except OSError:
                pass

    def serve_tcp(self):
        self.tcp.settimeout(0.1)
        while not self.is_over:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                continue
            threading.Thread(target=self.talk, args=[connection],
                             daemon=True).start()

    def talk(self, connection):
        with connection:
            connection.settimeout(5)
            try:
                size = connection.recv(2, socket.MSG_WAITALL)
                if len(size) < 2:
                    return
                query = connection.recv(struct.unpack(">H", size)[0],
                                        socket.MSG_WAITALL)
                self.count(query)
                for packet in self.answer(query, True):
                    connection.sendall(struct.pack(">H", len(packet)) + packet)
            except OSError:
                pass

    def __enter__(self):
        self.threads = [threading.Thread(target=t, daemon=True)
                        for t in (self.serve_udp, self.serve_tcp)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        self.udp.close()
        self.tcp.close()


class Slow(Front):
    """The resolver at port, later."""

    def __init__(self, port, seconds):
        super().__init__()
        self.behind, self.seconds = port, seconds

    def ask(self, query, by_tcp):
        kind = socket.SOCK_STREAM if by_tcp else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(5)
            s.connect(("127.0.0.1", self.behind))
            if not by_tcp:
                s.send(query)
                return s.recv(65535)
            s.sendall(struct.pack(">H", len(query)) + query)
            size = struct.unpack(">H", s.recv(2, socket.MSG_WAITALL))[0]
            return s.recv(size, socket.MSG_WAITALL)

    def answer(self, query, by_tcp):
        time.sleep(self.seconds)
        return [self.ask(query, by_tcp)]


def end_of_question(query):
    at = 12
    while query[at]:
        at += 1 + query[at]
    return at + 5


def name(text):
    return b"".join(bytes([len(part)]) + part.encode()
                    for part in text.split(".") if part) + b"\0"


def reply(query, records=(), flags=0x8180, ident=None, question=None):
    """An answer; records: (owner, type, data) or (type, data) of the name
    asked for."""
    out = b""
    for record in records:
        owner = b"\xc0\x0c" if len(record) == 2 else name(record[0])
        kind, data = record[-2:]
        out += owner + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
    asked = question or query[12:end_of_question(query)]
    return (ident or query[:2]) + struct.pack(
        ">HHHHH", flags, 1, len(records), 0, 0) + asked + out


class Hostile(Front):
    """mood: a function of (query, by_tcp) that returns packets."""

    def __init__(self, mood):
        super().__init__()
        self.mood = mood

    def answer(self, query, by_tcp):
        return self.mood(query, by_tcp)
