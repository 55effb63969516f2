"""outpost-resolve alone on a stage: real DNS (nsd, unbound) for what RFC 5321
section 5.1 says, and a hostile name server for what it does not."""
import os
import socket
import struct
import threading
import time

from dns import Nsd, Unbound, need
from outpost import Folder, free_port
from resolver import HOST, MSG_RESOLVE, MX, OK, PERM, ROLE_RUNNER, TEMP, \
    Resolver
from stage import MSG_PEER, frame


ZONES = {
    "plain.example": "@ IN MX 20 mx2\n@ IN MX 10 mx1\n"
                     "mx1 IN A 192.0.2.1\nmx1 IN AAAA 2001:db8::1\n"
                     "mx2 IN A 192.0.2.2\n"
                     "local IN MX 10 lo\nlo IN A 127.0.0.1\n"
                     "lo IN AAAA ::1\n"
                     "meta IN MX 10 m1\nmeta IN MX 20 mx2\n"
                     "m1 IN A 169.254.169.254\nm1 IN AAAA ::ffff:127.0.0.1\n"
                     "null IN MX 0 .\n"
                     "implicit IN A 192.0.2.9\n"
                     "empty IN TXT \"nothing\"\n"
                     "ghost IN MX 10 nowhere\nghost IN MX 20 empty\n"
                     "half IN MX 10 nowhere\nhalf IN MX 20 mx2\n"
                     "alias IN CNAME target\ntarget IN MX 5 viaalias\n"
                     "viaalias IN CNAME mx1\n"
                     "loop1 IN CNAME loop2\nloop2 IN CNAME loop1\n"
                     "toloop IN MX 10 loop1\n"
                     "zero 0 IN MX 10 mx1\n",

    "many.example": "".join(f"@ IN MX {i} h{i}\n" for i in range(1, 501))
                    + "".join(f"h{i} IN A 192.0.2.{i % 250 + 1}\n"
                              for i in range(1, 61))
                    + "".join(f"wide IN A 10.{i // 250}.{i % 250}.1\n"
                              for i in range(1000))
                    + "same IN MX 10 s1\nsame IN MX 10 s2\n"
                      "same IN MX 10 s3\nsame IN MX 10 s4\n"
                    + "".join(f"s{i} IN A 192.0.2.{i}\n" for i in range(1, 5)),
}


def test_real(r):
    a = r.ask("plain.example")
    assert a.verdict == OK and a.site == "mx1.plain.example,mx2.plain.example"
    assert a.hosts == [
        ("mx1.plain.example", 10, ["2001:db8::1", "192.0.2.1"], None),
        ("mx2.plain.example", 20, ["192.0.2.2"], None)], a
    assert 0 < a.ttl <= 60
    assert r.ask("PLAIN.Example.").hosts == a.hosts
    a = r.ask("null.plain.example")
    assert (a.verdict, a.status) == (PERM, "5.1.10") and not a.hosts
    a = r.ask("implicit.plain.example")
    assert a.verdict == OK and a.hosts == [
        ("implicit.plain.example", 0, ["192.0.2.9"], None)]
    a = r.ask("missing.plain.example")
    assert (a.verdict, a.status) == (PERM, "5.1.2") and 0 < a.ttl <= 60, a
    a = r.ask("empty.plain.example")
    assert (a.verdict, a.status) == (PERM, "5.4.4"), a
    a = r.ask("ghost.plain.example")
    assert (a.verdict, a.status) == (PERM, "5.4.4") and len(a.hosts) == 2
    a = r.ask("half.plain.example")
    assert a.verdict == OK and a.hosts[0][3][1] == "5.4.4" and \
        a.hosts[1][2] == ["192.0.2.2"], a
    a = r.ask("alias.plain.example")
    assert a.verdict == OK and a.hosts[0][0] == "viaalias.plain.example" and \
        a.hosts[0][2] == ["2001:db8::1", "192.0.2.1"], a
    a = r.ask("toloop.plain.example")
    assert a.verdict == TEMP and a.status == "4.4.3", a
    a = r.ask("zero.plain.example")
    assert a.verdict == OK and a.ttl == 0, a


def test_unreachable(r):
    """A zone that its server does not know: unbound says SERVFAIL."""
    a = r.ask("unserved.example")
    assert (a.verdict, a.status) == (TEMP, "4.4.3") and a.ttl > 0, a
    assert "SERVFAIL from 127.0.0.1" in a.detail, a


def test_ssrf(r):
    """Direct mode is not led to this machine; hazard 42."""
    a = r.ask("local.plain.example")
    assert (a.verdict, a.status) == (PERM, "5.4.6") and \
        " leads to " in a.detail, a
    a = r.ask("meta.plain.example")
    assert a.verdict == OK and a.hosts[0][2] == [] and \
        a.hosts[1][2] == ["192.0.2.2"], a
    for literal in ("[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]",
                    "[0.0.0.0]", "[169.254.169.254]", "[IPv6:fe80::1]",
                    "[IPv6:64:ff9b::7f00:1]", "[224.0.0.1]"):
        a = r.ask(literal)
        assert (a.verdict, a.status) == (PERM, "5.4.6"), (literal, a)
    a = r.ask("[192.0.2.7]")
    assert a.verdict == OK and a.hosts[0][2] == ["192.0.2.7"]
    a = r.ask("[IPv6:2001:db8::7]")
    assert a.verdict == OK and a.hosts[0][2] == ["2001:db8::7"]


def test_host(r):
    """A relay is the operator's choice: no MX, any address."""
    a = r.ask("mx1.plain.example", HOST)
    assert a.hosts == [("mx1.plain.example", 0,
                        ["2001:db8::1", "192.0.2.1"], None)]
    assert r.ask("lo.plain.example", HOST).verdict == OK
    assert "127.0.0.1" in r.ask("localhost", HOST).hosts[0][2]
    assert r.ask("[127.0.0.1]", HOST).hosts[0][2] == ["127.0.0.1"]
    a = r.ask("missing.plain.example", HOST)
    assert a.verdict == PERM


def test_many(r):
    """500 MX and 1,000 addresses: by TCP, bounded."""
    a = r.ask("many.example")
    assert a.verdict == OK and len(a.hosts) == 50, a
    assert a.names() == [f"h{i}.many.example" for i in range(1, 51)]
    a = r.ask("wide.many.example", HOST)
    assert len(a.hosts[0][2]) == 16
    seen = {r.ask("same.many.example").names()[0] for _ in range(60)}
    assert len(seen) == 4, seen
    assert len({r.ask("same.many.example").site for _ in range(5)}) == 1


def test_bad_names(r):
    for name in ("", ".", "a..b", "a b.example", "a\\.b.example", "[1.2",
                 "x" * 64 + ".example", "a." * 127 + "example", "a/b.example",
                 "[IPv6:fe80::1%eth0]", "\x7f.example"):
        a = r.ask(name)
        assert a.verdict != OK, (name, a)
    assert r.process.poll() is None


def test_many_at_once(r):
    """Thousands side by side; the same ones share a question."""
    questions = [(MX, f"n{i % 1500}.plain.example") for i in range(3000)]
    start = time.monotonic()
    answers = r.ask_all(questions)
    assert all(a.verdict == PERM for a in answers), answers[:3]
    assert time.monotonic() - start < 20
    assert r.ask("plain.example").verdict == OK


# --- a hostile name server -------------------------------------------------

def name_bytes(name):
    return b"".join(bytes([len(w)]) + w.encode()
                    for w in name.split(".")) + b"\0"


def record(name, kind, data, ttl=60):
    return name + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def question_of(packet):
    """(name, type, the question section)."""
    words, at = [], 12
    while packet[at]:
        words.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += packet[at] + 1
    kind, = struct.unpack_from(">H", packet, at + 1)
    return ".".join(words).lower(), kind, packet[12:at + 5]


def reply(packet, records=(), rcode=0, flags=0, number=None, question=None):
    head = struct.pack(
        ">HHHHHH",
        number if number is not None else struct.unpack(">H", packet[:2])[0],
        0x8180 | flags | rcode, 1, len(records), 0, 0)
    return head + (question or question_of(packet)[2]) + b"".join(records)


A4 = socket.inet_aton("192.0.2.77")
POINTER = b"\xc0\x0c"


class Hostile:
    """What it does is in the first label of the name asked for."""

    def __init__(self):
        self.port = free_port()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.socket()
        self.tcp.bind(("127.0.0.1", self.port))
        self.tcp.listen(16)
        self.asked, self.ids, self.ports = {}, set(), set()
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def serve_udp(self):
        while True:
            packet, client = self.udp.recvfrom(4096)
            name, kind, _ = question_of(packet)
            self.ids.add(packet[:2])
            self.ports.add(client[1])
            count = self.asked[name, kind] = \
                self.asked.get((name, kind), 0) + 1
            if kind != 1 and not name.startswith("refused"):
                self.udp.sendto(reply(packet, self.others(name, kind)), client)
                continue
            for answer in self.answers(name.split(".")[0], packet, count):
                self.udp.sendto(answer, client)

    def others(self, name, kind):
        if (name, kind) == ("half.example", 15):
            return [record(POINTER, 15, struct.pack(">H", n) + name_bytes(to),
                           604800)
                    for n, to in ((5, "refused.example"), (9, "both.example"))]
        if (name, kind) == ("both.example", 28):
            return [record(POINTER, 28, bytes(15) + b"\x99", 604800)]
        return []

    def answers(self, what, packet, count):
        good = reply(packet, [record(POINTER, 1, A4)])
        number = struct.unpack(">H", packet[:2])[0]
        other = name_bytes("other.example") + struct.pack(">HH", 1, 1)
        if what.startswith("good") or what == "slow" and count > 1:
            return [good]
        if what in ("slow", "never"):
            return []
        if what == "wrongid":
            bad = record(POINTER, 1, b"\x0a\0\0\1")
            return [reply(packet, [bad], number=number ^ 1), good]
        if what == "wrongname":
            bad = record(POINTER, 1, b"\x0a\0\0\1")
            return [reply(packet, [bad], question=other), good]
        if what == "query":
            return [packet, good]
        if what == "otherowner":
            return [reply(packet, [record(name_bytes("other.example"), 1,
                                          b"\x0a\0\0\1"),
                                   record(POINTER, 1, A4)])]
        if what == "garbage":
            return [b"", b"x", packet[:2] + b"\x81\x80" + b"\xff" * 200,
                    os.urandom(500), good]
        if what == "compression":
            loop = b"\xc0" + bytes([12 + len(question_of(packet)[2])])
            return [reply(packet, [record(loop, 1, A4)]), good]
        if what == "ttl":
            return [reply(packet, [record(POINTER, 1, A4, 1 << 31)])]
        if what in ("week", "both"):
            return [reply(packet, [record(POINTER, 1, A4, 604800)])]
        if what in ("cut", "cuttcp"):
            return [reply(packet, flags=0x200)[:-3]]
        if what == "formerr":
            return [good] if packet[11] == 0 else [packet[:2] +
                                                   b"\x81\x81" + b"\0" * 8]
        if what == "refused":
            return [reply(packet, rcode=5)]
        if what == "short":
            return [reply(packet, [record(POINTER, 1, b"\1\2\3")])]
        raise AssertionError(what)

    def serve_tcp(self):
        while True:
            client, _ = self.tcp.accept()
            size, = struct.unpack(">H", client.recv(2))
            packet = client.recv(size)
            if question_of(packet)[0].startswith("cut."):
                answer = reply(packet, [record(POINTER, 1, A4)] * 100)
                data = struct.pack(">H", len(answer)) + answer
                client.sendall(data[:1])
                time.sleep(0.05)
                client.sendall(data[1:])
            client.close()


def test_hostile():
    server, silent = Hostile(), free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", silent))
        with Resolver(f'resolvers = {{ "127.0.0.1:{server.port}" }}\n'
                      'log = "detailed"\n') as r:
            one_server(r, server)
            r.stop()
        # The first does not answer, the second does.
        with Resolver(f'resolvers = {{ "127.0.0.1:{silent}", '
                      f'"127.0.0.1:{server.port}" }}\n') as r:
            start = time.monotonic()
            assert r.ask("good.example", HOST).verdict == OK
            assert 1.5 < time.monotonic() - start < 4
            start = time.monotonic()
            assert r.ask("good2.example", HOST).verdict == OK
            assert time.monotonic() - start < 1
        # The first refuses.
        with Resolver(f'resolvers = {{ "127.0.0.1:{free_port()}", '
                      f'"127.0.0.1:{server.port}" }}\n') as r:
            start = time.monotonic()
            assert r.ask("good.example", HOST).verdict == OK
            assert time.monotonic() - start < 1


def one_server(r, server):
    good = ["192.0.2.77"]
    for what in ("good", "wrongid", "wrongname", "query", "garbage",
                 "compression", "ttl", "week", "cut", "formerr",
                 "otherowner"):
        a = r.ask(f"{what}.example", HOST)
        assert a.verdict == OK, (what, a, r.text())
        assert set(a.hosts[0][2]) == set(good), (what, a)
        if what == "ttl":
            assert a.ttl == 0
        if what == "week":
            assert a.ttl <= 86400
    # Asked once, cached; with TTL 0 asked again.
    r.ask("good.example", HOST)
    r.ask("ttl.example", HOST)
    assert server.asked["good.example", 1] == 1
    assert server.asked["ttl.example", 1] == 2
    for what in ("refused", "cuttcp"):
        a = r.ask(f"{what}.example", HOST)
        assert a.verdict != OK, (what, a)
    # Half an answer does not stand for as long as a whole one.
    a = r.ask("half.example", MX)
    assert a.verdict == OK and a.ttl <= 60, a
    assert a.names() == ["refused.example", "both.example"], a.names()
    # No answer at first, one from the cache the second time; hazard 46.
    start = time.monotonic()
    a = r.ask("slow.example", HOST)
    assert a.verdict == OK and 1.5 < time.monotonic() - start < 5, a
    assert len(server.ids) > 10 and len(server.ports) > 10


def test_never():
    """Silence for good ends as a temporary failure within 40 s."""
    server = Hostile()
    with Resolver(f'resolvers = {{ "127.0.0.1:{server.port}" }}\n') as r:
        start = time.monotonic()
        a, b, c = r.ask_all([(HOST, "never.example"), (HOST, "never.example"),
                             (HOST, "short.example")])
        assert a.verdict == b.verdict == TEMP and a.status == "4.4.3", a
        assert c.verdict == TEMP, c
        assert "no answer" in a.detail
        assert 30 < time.monotonic() - start < 50
        assert server.asked["never.example", 1] == 5


def test_bad_runner(conf):
    """What is not a question cuts the runner off; the resolver lives on."""
    with Resolver(conf) as r:
        r.peer.sendall(frame(MSG_RESOLVE, 1, b"\xff" * 30))
        assert r.peer.recv(100) == b""
        r.peer, theirs = socket.socketpair(socket.AF_UNIX)
        with theirs:
            r.send(MSG_PEER, ROLE_RUNNER, b"", [theirs.fileno()])
        assert r.ask("plain.example").verdict == OK
        r.stop()


def against_real(conf):
    with Resolver(conf) as r:
        for test in (test_real, test_unreachable, test_ssrf, test_host,
                     test_many, test_bad_names, test_many_at_once):
            start = time.monotonic()
            test(r)
            print(f"{test.__name__} {time.monotonic() - start:.1f} s",
                  flush=True)
        r.stop()
    with Resolver(conf + "allow-local-mx = on\n") as r:
        a = r.ask("local.plain.example")
        assert a.hosts[0][2] == ["::1", "127.0.0.1"], a
    test_bad_runner(conf)


def main():
    need()
    never = threading.Thread(target=guarded, args=(test_never,))
    never.start()
    with Folder() as folder:
        nsd = Nsd(folder, ZONES)
        unbound = Unbound(folder, [*ZONES, "unserved.example"], nsd.port)
        try:
            against_real(f'resolvers = {{ "127.0.0.1:{unbound.port}" }}\n')
        finally:
            unbound.stop()
            nsd.stop()
    test_hostile()
    never.join()
    assert not failures, failures


failures = []


def guarded(test):
    try:
        test()
    except BaseException as error:  # seen by main, in another thread
        failures.append(repr(error))


main()
