"""MTA-STS (RFC 8461): outpost-resolve and outpost-fetch with real DNS (nsd,
unbound; one zone signed, for DANE beside it) and real web servers. Prints a
table: what is published, and what becomes of the hosts."""
import http.server
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

from dns import Nsd, Signer, Unbound, need
from outpost import Folder, free_port, wait_until
from resolver import MSG_FETCH, OK, ROLE_RESOLVE, TEMP, Fetcher, Resolver
from stage import MSG_PEER, frame, span

ZONE, SIGNED = "sts.example", "signed.example"
DIGEST = "11" * 32


def policy(mode, mx, age=86400):
    return "version: STSv1\r\nmode: {}\r\n{}max_age: {}\r\n".format(
        mode, "".join(f"mx: {m}\r\n" for m in mx), age).encode()


MX1, MX2 = f"mx1.{ZONE}", f"mx2.{ZONE}"
BOTH = f"MX 10 {MX1}.", f"MX 20 {MX2}."
ONE = (f"MX 10 {MX1}.",)
USED, SHADOW, LEFT, NONE = "sts", "sts shadow", "left out", "none"
# name: (MX, what its web server says, verdict, what becomes of each host)
CASES = {
    "enforce": (BOTH, policy("enforce", [MX1]), OK, [USED, LEFT]),
    "nobody": (BOTH, policy("enforce", ["other.example"]), TEMP,
               [LEFT, LEFT]),
    "testing": (BOTH, policy("testing", [MX1]), OK, [SHADOW, SHADOW]),
    "none": (ONE, policy("none", []), OK, [NONE]),
    "wild": (BOTH, policy("enforce", [f"*.{ZONE}"]), OK, [USED, USED]),
    "wilder": (BOTH, policy("enforce", ["*.example"]), TEMP, [LEFT, LEFT]),
    "umlaut": ((f"MX 10 mx.xn--bcher-kva.{ZONE}.",),
               policy("enforce", [f"mx.b\u00fccher.{ZONE}"]), OK, [USED]),
    "six": (ONE, policy("enforce", [MX1]), OK, [USED]),  # by IPv6
    # another domain with the same hosts has no policy
    "neighbour": (BOTH, None, OK, [NONE, NONE]),
    # what is no policy
    "redirect": (ONE, 302, OK, [NONE]),
    "missing": (ONE, 404, OK, [NONE]),
    "html": (ONE, "html", OK, [NONE]),
    "big": (ONE, policy("enforce", ["x.example"]) + b"x: " + b"y" * 65536,
            OK, [NONE]),
    "endless": (ONE, "endless", OK, [NONE]),
    "just-fits": (ONE, (policy("enforce", [MX1]) + b"x: "
                        + b"y" * 65536)[:65536], OK, [USED]),
    "garbage": (ONE, b"\x00\xff" * 100, OK, [NONE]),
    "no-mode": (ONE, b"version: STSv1\nmx: a.example\nmax_age: 9\n", OK,
                [NONE]),
    "wrong-name": (ONE, policy("enforce", ["x.example"]), OK, [NONE]),
    "wrong-ca": (ONE, policy("enforce", ["x.example"]), OK, [NONE]),
    "expired-cert": (ONE, policy("enforce", ["x.example"]), OK, [NONE]),
    "down": (ONE, policy("enforce", ["x.example"]), OK, [NONE]),
    "no-host": (ONE, policy("enforce", ["x.example"]), OK, [NONE]),
    # records
    "two-records": (ONE, policy("enforce", ["x.example"]), OK, [NONE]),
    "beside-others": (ONE, policy("enforce", [MX1]), OK, [USED]),
    "no-id": (ONE, policy("enforce", ["x.example"]), OK, [NONE]),
    # what comes later, in the second act
    "vanishes": (BOTH, policy("enforce", [MX1]), OK, [USED, LEFT]),
    "changes": (BOTH, policy("enforce", [MX1]), OK, [USED, LEFT]),
    "breaks": (BOTH, policy("enforce", [MX1]), OK, [USED, LEFT]),
    "ends": (BOTH, policy("enforce", [MX1]), OK, [USED, LEFT]),
    "short": (BOTH, policy("enforce", [MX1], 1), OK, [USED, LEFT]),
    "half-old": (BOTH, policy("enforce", [MX1], 5), OK, [USED, LEFT]),
}
# The second act: after a restart, with another web server and another zone.
LATER = {
    "vanishes": (None, OK, [USED, LEFT]),
    "changes": (policy("enforce", [MX2]), OK, [LEFT, USED]),
    "breaks": (404, OK, [USED, LEFT]),
    "ends": (policy("none", []), OK, [NONE, NONE]),
    "short": (None, OK, [NONE, NONE]),
    "enforce": (404, OK, [USED, LEFT]),
}
ADDRESSES = {"wrong-ca": "127.0.0.2", "expired-cert": "127.0.0.3",
             "down": "127.0.0.9", "slow": "127.0.0.4", "six": "::1"}
TXT = {"two-records": ['"v=STSv1; id=1;"', '"v=STSv1; id=2;"'],
       "beside-others": ['"spam"', '"v=STSv1" "; id=1"', '"v=STSv2; id=3"'],
       "no-id": ['"v=STSv1;"'], "neighbour": []}
# in the signed zone: TLSA of the host, whether the policy lists it
WITH_DANE = {
    "dane-wins": ("mx-ee", False, OK, ["dane"]),
    "dane-fails": ("mx-forged", True, TEMP, ["left out"]),
    "blind": ("mx-blind", True, OK, ["sts"]),
    "no-tlsa": ("mx-bare", False, TEMP, ["left out"]),
}


def zones(later):
    lines = ["mx1 IN A 192.0.2.1", "mx2 IN A 192.0.2.2",
             "mx.xn--bcher-kva IN A 192.0.2.3",
             f"slow IN MX 10 {MX1}.", "slow2 IN MX 10 other"]
    for name in (*CASES, "slow"):
        lines += [f"{name} IN {mx}" for mx in CASES.get(name, [()])[0]]
        if name != "no-host":
            address = ADDRESSES.get(name, "127.0.0.1")
            lines.append(f"mta-sts.{name} IN "
                         f"{'AAAA' if ':' in address else 'A'} {address}")
        number = 2 if later and name in ("changes", "breaks", "ends") else 1
        records = TXT.get(name, [f'"v=STSv1; id={number}"'])
        if later and name in ("vanishes", "short"):
            records = []
        lines += [f"_mta-sts.{name} IN TXT {r}" for r in records]
    signed = ["mx-ee IN A 192.0.2.5", "mx-forged IN A 192.0.2.6",
              "mx-blind IN A 192.0.2.7", "mx-bare IN A 192.0.2.8",
              f"_25._tcp.mx-ee IN TLSA 3 1 1 {DIGEST}",
              f"_25._tcp.mx-forged IN TLSA 3 1 1 {DIGEST}; FORGED",
              f"_25._tcp.mx-blind IN TLSA 1 1 1 {DIGEST}"]
    for name, (host, *_) in WITH_DANE.items():
        signed += [f"{name} IN MX 10 {host}",
                   f"mta-sts.{name} IN A 127.0.0.1",
                   f'_mta-sts.{name} IN TXT "v=STSv1; id=1"']
    return {ZONE: "\n".join(lines) + "\n", SIGNED: "\n".join(signed) + "\n"}


# --- web servers ------------------------------------------------------------

def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-days", "9", "-subj", f"/CN={name}")


def certificate(folder, ca, name, hosts, days):
    (folder / f"{name}.ext").write_text(
        "subjectAltName=" + ",".join(f"DNS:{h}" for h in hosts))
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", "/CN=policy host")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem",
            "-CAkey", f"{ca}.key", "-CAcreateserial", "-out", f"{name}.pem",
            "-days", str(days), "-extfile", f"{name}.ext")


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, port, folder, name, says):
        self.says, self.hits = says, {}
        if ":" in address:
            self.address_family = socket.AF_INET6
        super().__init__((address, port), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        self.context = context
        threading.Thread(target=self.serve_forever, args=[0.05],
                         daemon=True).start()

    def finish_request(self, request, client_address):
        try:
            with self.context.wrap_socket(request, server_side=True) as tls:
                super().finish_request(tls, client_address)
        except OSError:
            pass  # a client that does not like the certificate

    def stop(self):
        self.shutdown()
        self.server_close()


class Answer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        host = self.headers["Host"].split(":")[0]
        name = host.split(".")[1]
        hits = self.server.hits
        hits[name] = hits.get(name, 0) + 1
        assert self.path == "/.well-known/mta-sts.txt", self.path
        says = self.server.says(name)
        if says in (None, 404):
            self.send_error(404)
            return
        if says == 302:
            self.send_response(302)
            self.send_header(
                "Location",
                f"https://mta-sts.enforce.{ZONE}:{self.server.server_port}"
                "/.well-known/mta-sts.txt")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if says == "html"
                         else "text/plain; charset=utf-8")
        self.end_headers()
        if says == "endless":
            while True:
                self.wfile.write(b"mx: a.example\n" * 1000)
        self.wfile.write(policy("enforce", ["x.example"]) if says == "html"
                         else says)


def first(name):
    if name in WITH_DANE:
        host, is_listed = WITH_DANE[name][:2]
        return policy("enforce", [f"{host}.{SIGNED}" if is_listed
                                  else "x.example"])
    return CASES[name][1]


def make_certificates(folder):
    authority(folder, "ca")
    authority(folder, "stranger")
    hosts = [f"mta-sts.{n}.{ZONE}" for n in CASES if n != "wrong-name"] + \
        [f"mta-sts.{n}.{SIGNED}" for n in WITH_DANE]
    certificate(folder, "ca", "web", hosts, 9)
    certificate(folder, "stranger", "other", [f"mta-sts.wrong-ca.{ZONE}"], 9)
    certificate(folder, "ca", "old", [f"mta-sts.expired-cert.{ZONE}"], -1)


# --- the acts ----------------------------------------------------------------

def state(host):
    if not host[2]:
        assert host[3][1] == "4.7.5", host
        return LEFT
    return host.policy.kind + (" shadow" if host.policy.is_shadow else "")


def compare(act, name, zone, a, verdict, wanted):
    states = [state(h) for h in a.hosts]
    print(f"{act:8} {name:14} {['ok', 'defer', 'fail'][a.verdict]:6} "
          f"{', '.join(states)}", flush=True)
    assert (a.verdict, states) == (verdict, wanted), (name, a, [
        h.policy for h in a.hosts])
    for host in a.hosts:
        if host.policy.kind == "sts":
            assert host.policy.domain == f"{name}.{zone}"
            assert host.policy.names == [host[0]]
            assert f"MTA-STS policy of {name}.{zone}" in host.policy.evidence


def first_act(conf, web):
    with Fetcher(conf) as fetcher, Resolver(conf, True, fetcher) as r:
        answers = r.ask_all([(1, f"{n}.{ZONE}") for n in CASES])
        for name, a in zip(CASES, answers):
            _, _, verdict, wanted = CASES[name]
            compare("first", name, ZONE, a, verdict, wanted)
        for name, (_, _, verdict, wanted) in WITH_DANE.items():
            compare("dane", name, SIGNED, r.ask(f"{name}.{SIGNED}"), verdict,
                    wanted)
        assert "4.7.5" == r.ask(f"nobody.{ZONE}").status
        assert f"{MX1} is not in the MTA-STS policy of nobody.{ZONE}" in \
            r.ask(f"nobody.{ZONE}").detail
        # Had once, not fetched again; what failed is not tried again at once.
        assert web.hits["enforce"] == web.hits["missing"] == 1, web.hits
        r.ask(f"enforce.{ZONE}"), r.ask(f"missing.{ZONE}")
        assert web.hits["enforce"] == web.hits["missing"] == 1, web.hits
        assert "neighbour" not in web.hits and "no-id" not in web.hits
        check_reasons(r.text())
        # Half of its time is over: fetched anew, and nobody waits for that.
        time.sleep(2.6)
        compare("half", "half-old", ZONE, r.ask(f"half-old.{ZONE}"), OK,
                [USED, LEFT])
        assert wait_until(lambda: web.hits["half-old"] == 2, 5), web.hits
        check_slow(r)
        r.stop()
        fetcher.stop()
    assert "sandbox-denied" not in fetcher.text() + r.text()


def check_reasons(log):
    for name, why in (("redirect", "redirected (302)"),
                      ("missing", "HTTP status 404"),
                      ("html", "not text/plain"),
                      ("big", "more than 64 KiB"),
                      ("endless", "more than 64 KiB"),
                      ("no-mode", "it has no mode"),
                      ("wrong-name", "no alternative certificate subject"),
                      ("wrong-ca", "SSL certificate problem"),
                      ("expired-cert", "certificate has expired"),
                      ("down", "Failed to connect"),
                      ("no-host", "its host has no address")):
        assert any(f"domain={name}.{ZONE}" in line and why in line
                   for line in log.splitlines()), (name, why, log)


def check_slow(r):
    """A web server that says nothing holds mail up for ten seconds, once."""
    start = time.monotonic()
    compare("slow", "slow", ZONE, r.ask(f"slow.{ZONE}"), OK, [NONE])
    assert 8 < time.monotonic() - start < 14
    start = time.monotonic()
    assert r.ask(f"slow.{ZONE}").verdict == OK
    assert time.monotonic() - start < 2


def second_act(conf, web):
    web.says = lambda name: LATER[name][0]
    with Fetcher(conf) as fetcher, Resolver(conf, True, fetcher) as r:
        for name, (_, verdict, wanted) in LATER.items():
            compare("later", name, ZONE, r.ask(f"{name}.{ZONE}"), verdict,
                    wanted)
        r.stop()
    # Without outpost-fetch what is known holds.
    with Resolver(conf, True) as r:
        compare("alone", "vanishes", ZONE, r.ask(f"vanishes.{ZONE}"), OK,
                [USED, LEFT])
        compare("alone", "changes", ZONE, r.ask(f"changes.{ZONE}"), OK,
                [LEFT, USED])
        r.stop()


def settings(conf, web):
    before = dict(web.hits)
    with Fetcher(conf.replace("mta-sts = on", "mta-sts = shadow")) as f, \
            Resolver(conf.replace("mta-sts = on", "mta-sts = shadow"), True,
                     f) as r:
        compare("shadow", "changes", ZONE, r.ask(f"changes.{ZONE}"), OK,
                [SHADOW, SHADOW])
        assert "which this host is not in" in \
            r.ask(f"changes.{ZONE}").hosts[0].policy.evidence
    with Resolver(conf.replace("mta-sts = on", "mta-sts = off"), True) as r:
        compare("off", "changes", ZONE, r.ask(f"changes.{ZONE}"), OK,
                [NONE, NONE])
        assert r.ask(f"changes.{ZONE}").hosts[0].policy.domain == ""
    # A record cannot have us ask servers of this machine.
    strict = conf.replace("allow-local-mx = on\n", "").replace(
        "/spool", "/strict")
    with Fetcher(strict) as f, Resolver(strict, True, f) as r:
        compare("strict", "enforce", ZONE, r.ask(f"enforce.{ZONE}"), OK,
                [NONE, NONE])
        assert "leads to this machine" in r.text()
    assert web.hits == before, web.hits


def strangers(conf):
    """What is not a question cuts the resolver off, and nothing more."""
    def question(domain, addresses):
        return span(domain) + struct.pack(">HB", 1, len(addresses)) + \
            b"".join(span(a) for a in addresses)
    with Fetcher(conf) as f:
        peer = f.end
        for noise in (b"\xff" * 40, frame(MSG_FETCH, 1, b"\xff" * 30),
                      frame(MSG_FETCH, 1, question(b"a.example", [])),
                      frame(MSG_FETCH, 1, question(b"a.example", [b"abc"])),
                      frame(MSG_FETCH, 1, question(b"a/b", [b"\x7f\0\0\1"])),
                      frame(MSG_FETCH, 1, question(b"u@a", [b"\x7f\0\0\1"])),
                      frame(MSG_FETCH, 1, question(b"", [b"\x7f\0\0\1"]))):
            peer, theirs = socket.socketpair(socket.AF_UNIX)
            peer.settimeout(5)
            with theirs, peer:
                f.send(MSG_PEER, ROLE_RESOLVE, b"", [theirs.fileno()])
                theirs.close()
                peer.sendall(noise)
                assert peer.recv(100) == b"", noise
        f.stop()


def play(folder, port, servers):
    conf = (f'spool = "{folder}/spool"\nallow-local-mx = on\n'
            f'tls {{ ca-file = "{folder}/ca.pem"  mta-sts-port = {port}  '
            'mta-sts = on }\n')
    (folder / "spool").mkdir()
    (folder / "strict").mkdir()
    web = Web("127.0.0.1", port, folder, "web", first)
    others = [Web("127.0.0.2", port, folder, "other", first),
              Web("127.0.0.3", port, folder, "old", first),
              Web("::1", port, folder, "web", first)]
    mute = socket.create_server(("127.0.0.4", port))
    signer = Signer(tempfile.mkdtemp(dir=folder))
    for later in (False, True):
        place = folder / f"dns-{later}"
        place.mkdir()
        servers.append(Nsd(place, zones(later), signer, [SIGNED]))
        servers.append(Unbound(place, zones(later), servers[-1].port,
                               anchors=signer.anchors[-1:]))
        here = conf + f'resolvers = {{ "127.0.0.1:{servers[-1].port}" }}\n'
        if later:
            second_act(here, web)
            settings(here, web)
            strangers(here)
        else:
            first_act(here, web)
    mute.close()
    for server in (web, *others):
        server.stop()


def main():
    need()
    start = time.monotonic()
    servers = []
    with Folder() as folder:
        make_certificates(folder)
        try:
            play(folder, free_port(), servers)
        finally:
            for server in servers:
                server.stop()
    print(f"{time.monotonic() - start:.1f} s")


main()
