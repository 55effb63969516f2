"""What is published about TLS with a destination, and what outpost-resolve
makes of it: DANE (RFC 7672) from zones signed by ldns, served by nsd and
validated by unbound. Prints a table, state of the DNS by setting."""
import subprocess
import tempfile
import time

from dns import Nsd, Signer, Unbound, need
from outpost import BIN, Folder, wait_until
from resolver import HOST, MX, OK, TEMP, Resolver

ONE = "11" * 32
TWO = "22" * 32
SECURE = "secure.example"
PLAIN = "plain.example"

HOSTS = [  # name, TLSA records at _25._tcp.name
    ("ee", [f"3 1 1 {ONE}"]),
    ("ta", [f"2 0 1 {TWO}"]),
    ("pkix", [f"0 0 1 {ONE}", f"1 1 1 {ONE}"]),
    ("mixed", [f"0 0 1 {ONE}", f"3 1 9 {ONE}", f"3 7 1 {ONE}",
               f"3 1 2 {ONE}{TWO}"]),
    ("short", ["3 1 1 1111", f"3 1 2 {ONE}", "3 0 0 31020000"]),
    ("bare", []),
    ("forged", [f"3 1 1 {ONE}"]),
]


def secure_zone():
    lines = []
    for i, (name, records) in enumerate(HOSTS):
        lines += [f"{name} IN MX 10 mx-{name}",
                  f"mx-{name} IN A 192.0.2.{i + 1}"]
        lines += [f"_25._tcp.mx-{name} IN TLSA {r}"
                  + ("; FORGED" if name == "forged" else "") for r in records]
    lines += [
        "two IN MX 10 mx-forged", "two IN MX 20 mx-ee",
        # aliases of the MX: at their end, or else at their beginning
        "alias-end IN MX 10 to-ee", "to-ee IN CNAME mx-ee",
        "alias-begin IN MX 10 to-bare", "to-bare IN CNAME mx-bare",
        f"_25._tcp.to-bare IN TLSA 3 1 1 {TWO}",
        "alias-out IN MX 10 to-plain", f"to-plain IN CNAME mx.{PLAIN}.",
        f"_25._tcp.to-plain IN TLSA 3 1 1 {TWO}",
        "alias-forged IN MX 10 to-forged", "to-forged IN CNAME mx-forged",
        f"_25._tcp.to-forged IN TLSA 3 1 1 {TWO}",
        # of two hosts one is in a zone without DNSSEC
        f"half IN MX 10 mx.{PLAIN}.", "half IN MX 20 mx-ee",
        # no MX: the domain itself
        "implicit IN A 192.0.2.99",
        f"_25._tcp.implicit IN TLSA 3 1 1 {ONE}",
        # the records are in a zone without DNSSEC
        "elsewhere IN MX 10 mx-elsewhere", "mx-elsewhere IN A 192.0.2.98",
        f"_25._tcp.mx-elsewhere IN CNAME tlsa.{PLAIN}.",
        "forged-mx IN MX 10 a.example.; FORGED",
        "forged-a IN MX 10 mx-forged-a", "mx-forged-a IN A 192.0.2.97; FORGED",
    ]
    return "\n".join(lines) + "\n"


ZONES = {
    SECURE: secure_zone(),
    PLAIN: "@ IN MX 10 mx\nmx IN A 192.0.2.50\n"
           f"_25._tcp.mx IN TLSA 3 1 1 {ONE}\ntlsa IN TLSA 3 1 1 {ONE}\n"
           f"to-secure IN MX 10 mx-ee.{SECURE}.\n"
           # a server that drops what it does not know
           "broken IN MX 10 mx-broken\nmx-broken IN A 192.0.2.51\n"
           "_tcp.mx-broken IN NS nobody\nnobody IN A 127.255.255.254\n",
}

EE = ("dane", [(3, 1, 1, ONE)])
# domain: (verdict, [policy of each host that is left], base, why of those not)
DANE = {
    f"ee.{SECURE}": (OK, [EE], f"mx-ee.{SECURE}", []),
    f"ta.{SECURE}": (OK, [("dane", [(2, 0, 1, TWO)])], f"mx-ta.{SECURE}", []),
    f"pkix.{SECURE}": (OK, [("dane-blind", [])], f"mx-pkix.{SECURE}", []),
    f"mixed.{SECURE}": (OK, [("dane", [(3, 1, 2, ONE + TWO)])],
                        f"mx-mixed.{SECURE}", []),
    f"short.{SECURE}": (OK, [("dane-blind", [])], f"mx-short.{SECURE}", []),
    f"bare.{SECURE}": (OK, [("none", [])], "", []),
    f"forged.{SECURE}": (TEMP, [], "", ["4.7.5"]),
    f"two.{SECURE}": (OK, [EE], f"mx-ee.{SECURE}", ["4.7.5"]),
    f"alias-end.{SECURE}": (OK, [EE], f"mx-ee.{SECURE}", []),
    f"alias-begin.{SECURE}": (OK, [("dane", [(3, 1, 1, TWO)])],
                              f"to-bare.{SECURE}", []),
    f"alias-out.{SECURE}": (OK, [("dane", [(3, 1, 1, TWO)])],
                            f"to-plain.{SECURE}", []),
    f"alias-forged.{SECURE}": (TEMP, [], "", ["4.7.5"]),
    f"half.{SECURE}": (OK, [("none", []), EE], "", []),
    f"implicit.{SECURE}": (OK, [EE], f"implicit.{SECURE}", []),
    f"elsewhere.{SECURE}": (OK, [("none", [])], "", []),
    f"forged-mx.{SECURE}": (TEMP, [], "", []),
    f"forged-a.{SECURE}": (TEMP, [], "", ["4.4.3"]),
    PLAIN: (OK, [("none", [])], "", []),
    f"to-secure.{PLAIN}": (OK, [("none", [])], "", []),
    f"broken.{PLAIN}": (OK, [("none", [])], "", []),
}


def show(setting, name, a):
    hosts = []
    for host in a.hosts:
        p = host.policy
        records = " ".join(f"{u}{s}{m}" for u, s, m, _ in p.tlsa)
        hosts.append(f"{p.kind}{'(' + records + ')' if records else ''}"
                     f"{' shadow' if p.is_shadow else ''}" if host[2]
                     else f"not used: {host[3][1]}")
    verdict = ["ok", "defer", "fail"][a.verdict]
    print(f"{setting:20} {name:28} {verdict:6} {', '.join(hosts)}", flush=True)


def check_dane(r):
    answers = r.ask_all([(MX, name) for name in DANE])
    for (name, wanted), a in zip(DANE.items(), answers):
        verdict, policies, base, whys = wanted
        show("dane = on", name, a)
        used = [h for h in a.hosts if h[2]]
        assert a.verdict == verdict, (name, a)
        assert [(h.policy.kind, h.policy.tlsa) for h in used] == policies, \
            (name, [h.policy for h in a.hosts])
        assert [h[3][1] for h in a.hosts if not h[2]] == whys, (name, a)
        if base:
            assert used[0].policy.domain == base == used[0].policy.names[0]
            assert used[0].policy.names[1:2] in ([name], []), used[0].policy
            assert f" at _25._tcp.{base}, DNSSEC-validated by 127.0.0.1" \
                in used[0].policy.evidence, used[0].policy
        for host in used:
            assert not host.policy.is_shadow
    ask = dict(zip(DANE, answers))
    # Reference names: base, next hop, the MX's name before aliases.
    assert ask[f"alias-end.{SECURE}"].hosts[0].policy.names == [
        f"mx-ee.{SECURE}", f"alias-end.{SECURE}", f"to-ee.{SECURE}"]
    p = ask[f"ee.{SECURE}"].hosts[0].policy
    assert p.is_secure and p.evidence.startswith(
        "TLSA 3 1 1 1111111111111111.. at "), p
    assert not ask[PLAIN].hosts[0].policy.is_secure
    assert "not DNSSEC-validated" in ask[PLAIN].hosts[0].policy.evidence
    assert ask[f"bare.{SECURE}"].hosts[0].policy.is_secure
    why = ask[f"forged.{SECURE}"].hosts[0][3][2]
    assert f"TLSA of _25._tcp.mx-forged.{SECURE}" in why and \
        "SERVFAIL from 127.0.0.1" in why, why
    assert "SERVFAIL" in ask[f"forged-mx.{SECURE}"].detail
    assert all(0 < a.ttl <= 60 for a in answers), [a.ttl for a in answers]
    # A relay has no MX; its own name is what counts.
    a = r.ask(f"mx-ee.{SECURE}", HOST)
    assert a.hosts[0].policy.names == [f"mx-ee.{SECURE}"] and \
        a.hosts[0].policy.kind == "dane", a.hosts[0].policy
    assert r.ask(f"mx-forged.{SECURE}", HOST).verdict == TEMP
    assert r.ask("[192.0.2.1]").hosts[0].policy.kind == "none"
    r.wants_policy = False
    a = r.ask(f"forged.{SECURE}")
    assert a.verdict == OK and a.hosts[0].policy.kind == "none", a


def check_shadow(r):
    for name in DANE:
        a = r.ask(name)
        show("dane = shadow", name, a)
        if name.startswith(("ee.", "pkix.", "alias-end.")):
            assert a.hosts[0].policy.is_shadow, a.hosts[0].policy
        if name.startswith("forged."):
            p = a.hosts[0].policy
            assert a.verdict == OK and p.kind == "none" and p.is_shadow and \
                "SERVFAIL" in p.evidence, (a, p)


def check_none(setting):
    def check(r):
        for name in (f"ee.{SECURE}", f"forged.{SECURE}", PLAIN):
            a = r.ask(name)
            show(setting, name, a)
            p = a.hosts[0].policy
            assert a.verdict == OK and p.kind == "none" and \
                not p.is_secure, (name, a, p)
    return check


def dane(port, careless):
    here, anywhere = f'"127.0.0.1:{port}"', f'"0.0.0.0:{port}"'
    refuses = '"127.0.0.1:9"'
    warned = "no resolver is on loopback"
    runs = [
        (f"resolvers = {{ {here} }}\n", check_dane, None),
        (f'resolvers = {{ {here} }}\ntls {{ dane = "shadow" }}\n',
         check_shadow, None),
        (f'resolvers = {{ {here} }}\ntls {{ dane = "off" }}\n',
         check_none("dane = off"), None),
        # 0.0.0.0 leads to this machine too, but nobody says so.
        (f"resolvers = {{ {anywhere} }}\n", check_none("not trusted"), warned),
        # The trusted one is down: the other is asked, but not for TLSA.
        (f"resolvers = {{ {anywhere}, {refuses} }}\n",
         check_none("trusted one is down"), "not every resolver"),
        # What the trusted one cannot validate is not asked of the other.
        (f'resolvers = {{ {here}, "0.0.0.0:{careless.port}" }}\n',
         check_dane, "not every resolver"),
        # Trusted, but it does not validate.
        (f'resolvers = {{ "127.0.0.1:{careless.port}" }}\n',
         check_none("does not validate"), "it does not validate DNSSEC"),
    ]
    for conf, check, warning in runs:
        with Resolver(conf, True) as r:
            check(r)
            if warning:
                assert wait_until(lambda: warning in r.text()), r.text()
            else:
                assert "dns-not-validated" not in r.text(), r.text()
            r.stop()
    with Resolver(f'resolvers = {{ "0.0.0.0:{port} trusted" }}\n', True) as r:
        a = r.ask(f"ee.{SECURE}")
        show("marked trusted", f"ee.{SECURE}", a)
        assert a.hosts[0].policy.kind == "dane" and \
            "validated by 0.0.0.0" in a.hosts[0].policy.evidence
        assert "dns-not-validated" not in r.text(), r.text()
        r.stop()


def check_command(folder):
    """The same is said before the start."""
    file = folder / "check.conf"
    for resolver, tls, warns in (("192.0.2.53", "", True),
                                 ("192.0.2.53 trusted", "", False),
                                 ("127.0.0.1", "", False),
                                 ("192.0.2.53", "tls { dane = off }\n",
                                  False)):
        file.write_text(f'resolvers = {{ "{resolver}" }}\n{tls}')
        done = subprocess.run([BIN / "outpost", "check", "-c", file],
                              capture_output=True, text=True, check=True)
        assert done.stdout == "configuration ok\n", done
        assert ("there is no DANE" in done.stderr) == warns, done


def main():
    need()
    start = time.monotonic()
    with Folder() as folder:
        signer = Signer(tempfile.mkdtemp(dir=folder))
        servers = [Nsd(folder, ZONES, signer, [SECURE])]
        try:
            servers.append(Unbound(folder, ZONES, servers[0].port,
                                   anchors=signer.anchors))
            second = folder / "careless"
            second.mkdir()
            servers.append(Unbound(
                second, ZONES, servers[0].port,
                '  local-zone: "." transparent\n  local-data: ". 60 IN SOA'
                ' ns.example. host.example. 1 60 60 60 60"\n'))
            dane(servers[1].port, servers[2])
        finally:
            for server in servers:
                server.stop()
        check_command(folder)
    print(f"{time.monotonic() - start:.1f} s")


main()
