"""outpost dnscheck and resolvers: good, slow, without TCP or EDNS, validating
or not, and hostile: the time is bounded, what could not be found out is said,
and nothing is ok that was not seen. Prints a table.
"""
import os
import re
import socket
import struct
import subprocess
import sys

import checked
import dns
from checked import Found, Hostile, Served, Slow, Zones, name, reply
from outpost import Folder

D = "example.com"
R4 = "2.0.192.in-addr.arpa"
PTR, CNAME, TXT = 12, 5, 16


def write(folder, port, extra=""):
    path = folder / "outpost.conf"
    lines = "".join(
        f'line "{line}" {{ localname = "{line}.{D}" '
        f'bind = {{ "127.0.0.{i}" }} }}\n'
        for i, line in enumerate(("default", "bulk"), 1))
    path.write_text(f'localname = "default.{D}"\nspool = "{folder}"\n'
                    f'resolvers = {{ "127.0.0.1:{port}" }}\n'
                    'dnscheck { port25 = { } external = '
                    '{ "127.0.0.1=192.0.2.1", "127.0.0.2=192.0.2.2" }\n'
                    f'signed-name = "{D}" bogus-name = "bogus.example" }}\n'
                    f"{extra}{lines}")
    return path


def zones():
    found = Zones(D, R4, "bogus.example")
    for i, line in enumerate(("default", "bulk"), 1):
        found.add(f"{line}.{D}. A 192.0.2.{i}")
        found.add(f"{i}.{R4}. PTR {line}.{D}.")
    found.add(f"default.{D}. MX 10 default.{D}.")
    found.add(f'default.{D}. TXT "v=spf1 ip4:192.0.2.0/30 -all"')
    found.add(f'_dmarc.{D}. TXT "v=DMARC1; p=reject"')
    return found.text()


def signed(folder):
    """Signed zones; of bogus.example the resolver has another key."""
    signer = dns.Signer(folder)
    served = Served.__new__(Served)
    other = dns.run(folder, "ldns-keygen", "-r", "/dev/urandom", "-a",
                    "ECDSAP256SHA256", "-k", "bogus.example")
    anchors = [folder / f"{other}.ds"]

    class Anchors(list):
        """Only of the zone that is to be believed."""

        def append(self, path):
            if D in path.name:
                anchors.append(path)

    signer.anchors = Anchors()
    served.__init__(folder / "signed", zones(), signer,
                    (D, "bogus.example"), anchors)
    return served


def healthy(folder):
    """Both line groups conform; each name is asked for once, side by side."""
    with signed(folder) as served, Slow(served.port, 0.02) as slow:
        conf = write(folder, slow.port)
        found = Found(conf)
        for line in ("default", "bulk"):
            assert not found.faults(line), found
        assert found.code("node-resolver-ok"), found
        assert found.code("node-dnssec-ok"), found
        probes = (D, "bogus.example")
        asked = {q: n for q, n in slow.asked.items() if q[0] not in probes}
        again = [q for q, n in asked.items() if n > 1]
        # the page and the verdict ask nothing more
        assert not [q for q in again if q[1] in (1, PTR, 28)], again
        assert found.seconds < 5, found.seconds
        print(f"healthy, two line groups, resolver with 20 ms: "
              f"{found.seconds:.2f} s, {sum(slow.asked.values())} questions")
        outputs(folder, conf, found)
    with Served(folder / "unsigned", zones()) as served:
        found = Found(write(folder, served.port))
        assert found.code("node-dnssec-off")["remedy"], found
        found = Found(write(folder, served.port, "tls { dane = off }\n"))
        assert not [f for f in found.all if "dnssec" in f["code"]], found


def outputs(folder, conf, found):
    """Text, quiet, what changed since then, a page."""
    earlier, page = folder / "earlier.json", folder / "page.html"
    earlier.write_text(found.text)
    command = [checked.BIN / "outpost", "dnscheck", "-c", conf]

    def run(*options):
        return subprocess.run([*command, *options], capture_output=True,
                              text=True, timeout=30, check=False)

    done = run("--since", earlier, "--html", page)
    assert done.returncode == found.status, done
    assert re.search(r"changed since then\n +nothing\n", done.stdout), done
    assert 'line "bulk" conforms' in done.stdout, done.stdout
    assert "\033" not in done.stdout
    html = page.read_text()
    assert html.count("<svg") == 2 and "http" not in re.sub(
        r"http-equiv", "", html), "foreign parts in the page"
    done = run("--since", earlier, "--localname", "gone." + D, "--line",
               "bulk")
    assert re.search(r"\+ fail +name-missing", done.stdout), done.stdout
    assert re.search(r"- ok +name-ok", done.stdout), done.stdout
    done = run("--quiet")
    assert done.stdout == "", done.stdout
    earlier.write_text("no json\n")
    done = run("--since", earlier)
    assert done.returncode == 2 and "line 1" in done.stderr, done


# --- hostile -----------------------------------------------------------------

def right(query, by_tcp):
    del by_tcp
    owner, kind = checked.question_of(query)
    line = "default" if owner.startswith(("1.", "default")) else "bulk"
    if kind == PTR:
        return [reply(query, [(PTR, name(f"{line}.{D}"))])]
    if kind == 1:
        return [reply(query, [(1, bytes([192, 0, 2, 1 + (line == "bulk")]))])]
    if kind == TXT:
        return [reply(query, [(TXT, b"\x0bv=spf1 +all")])]
    return [reply(query)]


def liar(query, by_tcp):
    """Wrong answers first: another id, another question."""
    wrong = bytes([query[0] ^ 1]) + query[1:2]
    bad = [(PTR, name("evil.example")), (1, bytes(4))]
    elsewhere = name("other.example") + query[-4:]
    return [reply(query, bad, ident=wrong),
            reply(query, bad, question=elsewhere),
            *right(query, by_tcp)] if not by_tcp else right(query, by_tcp)


class Stranger(checked.Front):
    """The answer comes from another port."""

    def answer(self, query, by_tcp):
        return []

    def reply(self, query, peer):
        self.count(query)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(right(query, False)[0], peer)


def stranger(*_):
    return []


def truncated(query, by_tcp):
    return [] if by_tcp else [reply(query, flags=0x8380)]


def cut(query, by_tcp):
    """Truncated by UDP, whole by TCP."""
    return right(query, True) if by_tcp else [reply(query, flags=0x8380)]


def garbage(query, by_tcp):
    del by_tcp
    return [query[:2] + b"\x81\x80" + b"\xff" * 300]


def circles(query, by_tcp):
    del by_tcp
    return [reply(query, [("a.example", CNAME, name("b.example")),
                          ("b.example", CNAME, name("a.example")),
                          (CNAME, name("a.example"))])]


def pointer_loop(query, by_tcp):
    """A compressed name that points at itself."""
    del by_tcp
    at = len(query[:checked.end_of_question(query)])
    return [reply(query, [(PTR, struct.pack(">H", 0xc000 | at + 12))])]


def flood(query, by_tcp):
    """500 names, each with 1,000 addresses."""
    kind = checked.question_of(query)[1]
    if not by_tcp:
        return [reply(query, flags=0x8380)]
    if kind == PTR:
        return [reply(query, [(PTR, name(f"h{i}.example.org"))
                              for i in range(500)])]
    if kind == 1:
        return [reply(query, [(1, struct.pack(">I", 0x0a000000 + i))
                              for i in range(1000)])]
    return [reply(query)]


def markup(query, by_tcp):
    """Names that mean something to a terminal and in a page."""
    del by_tcp
    if checked.question_of(query)[1] != PTR:
        return [reply(query)]
    evil = b"<script>alert(1)</script>\x1b[31m\xff"
    return [reply(query, [(PTR, bytes([len(evil)]) + evil
                           + name("example.org"))])]


MOODS = [  # mood, what becomes of reverse-: status, a part of what is said
    (liar, "ok", "and back"),
    (cut, "ok", "and back"),
    (stranger, "skip", "no answer"),
    (lambda *_: [], "skip", "no answer"),
    (lambda q, _: [reply(q, flags=0x8182)], "skip", "SERVFAIL"),
    (lambda q, _: [reply(q, flags=0x8185)], "skip", "REFUSED"),
    (truncated, "skip", "truncated"),
    (garbage, "skip", "cannot be read"),
    (circles, "skip", "circles"),
    (pointer_loop, "skip", "cannot be read"),
    (flood, "fail", "leads to 10.0.0.0"),
    (markup, "fail", "not the full name of a host"),
]


def hostile(folder):
    for mood, status, part in MOODS:
        with (Stranger() if mood is stranger else Hostile(mood)) as server:
            conf = write(folder, server.port, "tls { dane = off }\n")
            page = folder / "hostile.html"
            found = Found(conf, "--timeout", "2s", "--html", page)
        assert found.seconds < 10, (mood, found.seconds)
        assert found.status in (0, 1), found
        for line in ("default", "bulk"):
            f, = [f for f in found.line(line)
                  if f["code"].startswith("reverse-")]
            assert f["status"] == status and part in f["found"], (mood, f)
            if status == "skip":
                assert f["code"] == "reverse-unknown", f
                assert not [g for g in found.line(line)
                            if g["code"] == "name-ok"], found
        assert "<script" not in page.read_text()
        assert "\x1b" not in found.text and "\x1b" not in page.read_text()
        print(f"{mood.__name__:<14} {found.seconds:5.2f} s  {status:<5} "
              f"{f['found'][:60]}")


def second_chance(folder):
    """Hazard 46: nothing at all to the first question, then the answer."""
    seen = set()

    def mood(query, by_tcp):
        asked = checked.question_of(query)
        if asked in seen:
            return right(query, by_tcp)
        seen.add(asked)
        return []

    with Hostile(mood) as server:
        found = Found(write(folder, server.port, "tls { dane = off }\n"),
                      "--timeout", "20s")
    assert not found.faults("default"), found
    print(f"silent once: answered after {found.seconds:.1f} s")


def second_resolver(folder):
    """One of two is dead: everything is known, and it is said which."""
    with Hostile(right) as server:
        dead = dns.free_port()
        found = Found(write(folder, server.port, "tls { dane = off }\n"),
                      "--resolver", f"127.0.0.1:{dead}", "--resolver",
                      f"127.0.0.1:{server.port}")
    assert not found.faults("default"), found
    silent = found.code("node-resolver-silent")
    assert silent["status"] == "warn" and str(dead) in silent["subject"]


def whoami(folder):
    """A private address finds its outside by a name server; and says so when
    that knows nothing."""
    for data, code in ((bytes([192, 0, 2, 1]), "address-nat"), (None, None)):
        def mood(query, by_tcp, data=data):
            if checked.question_of(query)[0] == "me.example":
                return [reply(query, [(1, data)] if data else [])]
            return right(query, by_tcp)

        with Hostile(mood) as server:
            conf = write(folder, server.port, "tls { dane = off }\n")
            conf.write_text(re.sub(r"external = \{[^}]*\}", "",
                                   conf.read_text()))
            found = Found(conf, "--whoami",
                          f"me.example@127.0.0.1:{server.port}")
        # loopback stays loopback, whoever says what
        f, = [f for f in found.line("default")
              if f["code"].startswith("address-") and f["status"] != "ok"]
        assert f["code"] == "address-loopback", f
        reverse, = [f for f in found.line("default")
                    if f["code"].startswith("reverse-")]
        assert reverse["status"] == ("ok" if code else "skip"), reverse


def without(folder):
    """No TCP; no EDNS."""
    def no_edns(query, by_tcp):
        if query[-11:-9] == b"\0\0" and query[11]:  # it has an OPT record
            return [query[:2] + b"\x81\x81" + query[4:6] + b"\0" * 6
                    + query[12:checked.end_of_question(query)]]
        return right(query, by_tcp)

    for mood, code in ((lambda q, t: [] if t else right(q, t),
                        "node-resolver-tcp"), (no_edns,
                                               "node-resolver-edns")):
        with Hostile(mood) as server:
            found = Found(write(folder, server.port,
                                "tls { dane = off }\n"))
        assert found.code(code)["status"] == "warn", found
        assert not found.faults("default"), found
        print(f"{code}: {found.code(code)['found']}")


def main():
    dns.need()
    with Folder() as folder:
        os.chdir(folder)
        for test in (healthy, hostile, second_chance, second_resolver,
                     whoami, without):
            test(folder)


if __name__ == "__main__":
    sys.exit(main())
