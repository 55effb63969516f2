"""outpost dnscheck DOMAIN: every fault of a sender domain has its code and no
other, and its record, published as it says, heals it. Then blocklists: those
that work, and those that say nothing. Zones by nsd, resolved by unbound.
"""
import base64
import concurrent.futures
import shutil
import subprocess
import sys

import dns
from checked import Found, Served, Zones
from outpost import Folder, skip

V4, V6 = "203.0.113.5", "2001:db8::5"
REVERSED = "5.113.0.203"
SPF = "v=spf1 ip4:203.0.113.5 ip6:2001:db8::5"
# Of a domain {d} without faults; a case has others for some of these.
BASE = {
    "mx": ["{d}. MX 10 mx.{d}.", "mx.{d}. A 192.0.2.1"],
    "spf": [f'{{d}}. TXT "{SPF} -all"'],
    "dmarc": ['_dmarc.{d}. TXT "v=DMARC1; p=reject; rua=mailto:r@{d}"'],
    "dkim": ["s1._domainkey.{d}. TXT {key}"],
    "more": [],
}
STS = '_mta-sts.{d}. TXT "v=STSv1; id=20260101"'
STS_HOST = "mta-sts.{d}. A 192.0.2.2"
TLSRPT = '_smtp._tls.{d}. TXT "v=TLSRPTv1; rua=mailto:r@{d}"'
BOTH = 2  # a code found twice: for both of our addresses

# name: (what differs from BASE, {code: how often})
CASES = {
    "healthy": ({}, {}),
    "spaced": ({"dmarc": ['_dmarc.{d}. TXT "v = DMARC1 ; p = none"']}, {}),
    # MX
    "no-mx": ({"mx": ["{d}. A 192.0.2.1"]}, {"mx-missing": 1}),
    "nowhere": ({"mx": []}, {"mx-nowhere": 1}),
    "null": ({"mx": ["{d}. MX 0 ."]}, {"mx-null": 1}),
    "alias": ({"mx": ["{d}. MX 10 mx.{d}.", "mx.{d}. CNAME real.{d}.",
                      "real.{d}. A 192.0.2.1"]}, {"mx-alias": 1}),
    "private": ({"mx": ["{d}. MX 10 mx.{d}.", "mx.{d}. A 10.0.0.1"]},
                {"mx-not-public": 1}),
    "homeless": ({"mx": ["{d}. MX 10 mx.{d}.", "{d}. MX 20 mail.example."]},
                 {"mx-no-address": 1}),
    # SPF
    "no-spf": ({"spf": []}, {"spf-missing": BOTH}),
    "unlisted": ({"spf": ['{d}. TXT "v=spf1 mx -all"']},
                 {"spf-not-listed": BOTH}),
    "half": ({"spf": ['{d}. TXT "v=spf1 ip4:203.0.113.0/24 ~all"']},
             {"spf-not-listed": 1}),
    "neutral": ({"spf": ['{d}. TXT "v=spf1 mx"']}, {"spf-not-listed": BOTH}),
    "redirected": ({"spf": ['{d}. TXT "v=spf1 redirect=_spf.{d}"',
                            '_spf.{d}. TXT "v=spf1 mx -all"']},
                   {"spf-not-listed": BOTH}),
    "two-spf": ({"spf": [f'{{d}}. TXT "{SPF} -all"',
                         '{d}. TXT "v=spf1 mx ~all"']},
                {"spf-multiple": BOTH}),
    "bad-spf": ({"spf": ['{d}. TXT "v=spf1 mx ip4:203.0.113 foo -all"']},
                {"spf-invalid": BOTH}),
    # DKIM
    "no-key": ({"dkim": []}, {"dkim-missing": 1}),
    "revoked": ({"dkim": ['s1._domainkey.{d}. TXT "v=DKIM1; p="']},
                {"dkim-revoked": 1}),
    "garbled-key": ({"dkim": [
        's1._domainkey.{d}. TXT "v=DKIM1; k=rsa; p=MIGf!"']},
        {"dkim-invalid": 1}),
    "other-key": ({"dkim": ["s1._domainkey.{d}. TXT {other}"]},
                  {"dkim-other-key": 1}),
    "two-keys": ({"dkim": ["s1._domainkey.{d}. TXT {key}",
                           "s1._domainkey.{d}. TXT {other}"]},
                 {"dkim-multiple": 1}),
    "trial": ({"dkim": ["s1._domainkey.{d}. TXT {testing}"]},
              {"dkim-testing": 1}),
    # DMARC
    "no-dmarc": ({"dmarc": []}, {"dmarc-missing": 1}),
    "two-dmarc": ({"dmarc": ['_dmarc.{d}. TXT "v=DMARC1; p=none"',
                             '_dmarc.{d}. TXT "v=DMARC1; p=reject"']},
                  {"dmarc-multiple": 1}),
    "bad-dmarc": ({"dmarc": ['_dmarc.{d}. TXT "v=DMARC1; p=rejekt"']},
                  {"dmarc-invalid": 1}),
    "foreign-reports": ({"dmarc": [
        '_dmarc.{d}. TXT "v=DMARC1; p=none; rua=mailto:x@collector.example"']},
        {"dmarc-report-refused": 1}),
    "unaligned": ({"spf": ['{d}. TXT "v=spf1 mx -all"'], "dkim": []},
                  {"spf-not-listed": BOTH, "dkim-missing": 1,
                   "dmarc-not-aligned": 1}),
    # MTA-STS, DANE, TLSRPT
    "sts": ({"more": [STS, STS_HOST, TLSRPT]}, {}),
    "bad-sts": ({"more": [STS.replace("2026", "20-26"), STS_HOST, TLSRPT]},
                {"sts-invalid": 1}),
    "sts-alone": ({"more": [STS, TLSRPT]}, {"sts-no-host": 1}),
    "no-reports": ({"more": [STS, STS_HOST]}, {"tlsrpt-missing": 1}),
    "bad-reports": ({"more": [TLSRPT.replace("mailto:", "")]},
                    {"tlsrpt-invalid": 1}),
    "pkix": ({"more": [TLSRPT, "_25._tcp.mx.{d}. TLSA 1 1 1 " + "ab" * 32]},
             {"dane-unusable": 1}),
    "short-digest": ({"more": [TLSRPT,
                               "_25._tcp.mx.{d}. TLSA 3 1 1 " + "ab" * 20]},
                     {"dane-unusable": 1}),
    # CAA
    "caa": ({"more": ['{d}. CAA 0 issue "ca.example"']}, {}),
    "no-caa": ({"more": ['{d}. CAA 0 issue ";"']}, {"caa-forbids": 1}),
}
# What a remedy leaves to the person.
FILLED = {"ADDRESS-OF-THE-HOST": "192.0.2.1", "PUBLIC-ADDRESS": "192.0.2.1",
          "ADDRESS-OF-A-WEB-SERVER": "192.0.2.1", "YOUR-AUTHORITY":
          "ca.example", "SHA-256-OF-THE-KEY": "ab" * 32}


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=True).stdout


def txt(text):
    return " ".join(f'"{text[i:i + 255]}"' for i in range(0, len(text), 255))


class Keys:
    """Private keys as files, and what is published of them."""

    def __init__(self, folder):
        self.files, self.records = {}, {}
        for name, *how in (("key", "-algorithm", "RSA"),
                           ("other", "-algorithm", "RSA"),
                           ("short", "-algorithm", "RSA", "-pkeyopt",
                            "rsa_keygen_bits:1024"),
                           ("edwards", "-algorithm", "ED25519")):
            path = self.files[name] = folder / f"{name}.pem"
            openssl("genpkey", *how, "-out", path)
            der = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
            kind = "rsa"
            if name == "edwards":
                kind, der = "ed25519", der[-32:]
            self.records[name] = f"v=DKIM1; k={kind}; p=" + \
                base64.b64encode(der).decode()
        self.records["testing"] = \
            self.records["key"].replace("p=", "t=y; p=")

    def texts(self):
        return {name: txt(record) for name, record in self.records.items()}


def write(folder, port):
    path = folder / "outpost.conf"
    path.write_text(
        f'localname = "mail.example"\nspool = "{folder}"\n'
        f'resolvers = {{ "127.0.0.1:{port}" }}\n'
        'line "default" { bind = { "127.0.0.1", "::1" } }\n'
        f'dnscheck {{ external = {{ "127.0.0.1={V4}", "::1={V6}" }} }}\n')
    return path


def run(conf, key, name, *options):
    return Found(conf, "--selector", f"s1={key}", *options, f"{name}.example")


def faults(found):
    """{code: findings}, without what is ok or could not be found out."""
    out = {}
    for f in found.all:
        if f["status"] in ("warn", "fail"):
            out.setdefault(f["code"], []).append(f)
    return out


def run_all(conf, keys):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = {name: pool.submit(run, conf, keys.files["key"], name)
                for name in CASES}
        return {name: d.result() for name, d in done.items()}


def zones_of(keys):
    zones = Zones("example")
    zones.add("mail.example. A 192.0.2.1")
    zones.add("collector.example. A 192.0.2.1")
    for name, (differs, _) in CASES.items():
        for records in (BASE | differs).values():
            for record in records:
                zones.add(record.format(d=f"{name}.example", **keys.texts()))
    return zones


def every_fault(folder, keys):
    zones = zones_of(keys)
    with Served(folder / "before", zones.text()) as served:
        before = run_all(write(folder, served.port), keys)
    for name, (_, codes) in CASES.items():
        found = faults(before[name])
        assert {c: len(f) for c, f in found.items()} == codes, \
            (name, before[name])
        assert bool(before[name].status) == any(
            f["status"] == "fail" for fs in found.values() for f in fs)
        for f in (f for fs in found.values() for f in fs):
            assert f["found"] and f["expected"] and f["remedy"], f
            record = f["record"]
            for word, value in FILLED.items():
                record = record.replace(word, value)
            assert record or f["code"] == "dmarc-not-aligned", f
            if record:
                zones.apply(record)
    # an alias that is no MX host any more is nobody's fault
    with Served(folder / "after", zones.text()) as served:
        after = run_all(write(folder, served.port), keys)
    for name, (_, codes) in CASES.items():
        left = set(faults(after[name]))
        if name in ("pkix", "short-digest"):  # usable now, but not signed
            assert left == {"dane-unsigned"}, (name, after[name])
            left = set()
        assert not left, (name, after[name])
        print(f"  {name:<16} {' '.join(codes) or 'ok'}")


def keys_of_all_kinds(folder, keys):
    """What no record can heal, and Ed25519."""
    zones = zones_of(keys)
    texts = keys.texts()
    zones.add(f"short._domainkey.healthy.example. TXT {texts['short']}")
    zones.add(f"ed._domainkey.healthy.example. TXT {texts['edwards']}")
    zones.add("many.example. TXT \"v=spf1 " + "a " * 11 + "-all\"")
    zones.add("late.example. TXT \"" + SPF + " " + "a " * 11 + "-all\"")
    zones.add("gone.example. TXT \"v=spf1 include:none.example -all\"")
    for name in ("many", "late"):
        zones.add(f"{name}.example. A 192.0.2.1")
    with Served(folder / "kinds", zones.text()) as served:
        conf = write(folder, served.port)
        for selector, code in (
                (f"ed={keys.files['edwards']}", "dkim-ok"),
                ("ed", "dkim-ok"), ("s1", "dkim-ok"),
                (f"short={keys.files['short']}", "dkim-short-key"),
                (f"ed={keys.files['key']}", "dkim-other-key"),
                ("nothing", "dkim-missing")):
            found = Found(conf, "--selector", selector, "healthy.example")
            assert found.code(code), found
        assert Found(conf, "healthy.example").code("dkim-unknown")[
            "status"] == "skip"
        for name, code in (("many", "spf-too-many-lookups"),
                           ("late", "spf-too-many-lookups"),
                           ("gone", "spf-broken")):
            found = faults(Found(conf, f"{name}.example"))
            assert len(found[code]) == 2, found
            assert found[code][0]["status"] == \
                ("warn" if name == "late" else "fail")
        for bad in ("s1=/nowhere", "s1=" + str(folder / "outpost.conf"),
                    "a b", ""):
            assert bad == "" or \
                Found(conf, "--selector", bad, "healthy.example").status == 2


def configured(folder, keys):
    """The sender domains of the configuration, each once; a sender block that
    names a line is about that line."""
    with Served(folder / "conf", zones_of(keys).text()) as served:
        conf = write(folder, served.port)
        conf.write_text(
            conf.read_text().replace("mail.example", "healthy.example")
            + 'defaults { sender-domain = "sts.example" }\n'
            'postmaster = "admin@no-spf.example"\ntls { dane = off }\n'
            'line "bulk" { bind = { "127.0.0.1" } }\n'
            'sender "@unlisted.example" { line = "bulk" }\n'
            'sender "a@no-dmarc.example" { hold = 1s }\n')
        found = Found(conf, "--fast")
        assert {f["subject"] for f in found.all
                if f["code"].startswith("dmarc-")} == {
                    f"{n}.example" for n in ("healthy", "sts", "no-spf",
                                             "unlisted", "no-dmarc")}, found
        assert {f["line"] for f in found.all
                if f["code"] == "spf-not-listed"} == {"bulk"}, found
        assert len([f for f in found.all if f["code"] == "spf-missing"]) == 3


LISTS = {  # name: (records, codes for IPv4 and IPv6)
    "clean": (["2.0.0.127{l}. A 127.0.0.2"], "list-ok", "list-unusable"),
    "hit": (["2.0.0.127{l}. A 127.0.0.2", f"{REVERSED}{{l}}. A 127.0.0.4",
             f"{REVERSED}{{l}}. TXT \"spam \\027[31m seen\"",
             "{v6test}{l}. A 127.0.0.2", "{v6}{l}. A 127.0.0.3"],
            "list-listed", "list-listed"),
    "dead": (["x{l}. A 127.0.0.2"], "list-unusable", "list-unusable"),
    "wild": (["*{l}. A 127.0.0.2"], "list-unusable", "list-unusable"),
    "error": (["*{l}. A 127.255.255.254"], "list-unusable", "list-unusable"),
    "late-error": (["2.0.0.127{l}. A 127.0.0.2",
                    f"{REVERSED}{{l}}. A 127.255.255.255"], "list-unusable",
                   "list-unusable"),
    "parked": (["*{l}. A 192.0.2.80"], "list-unusable", "list-unusable"),
}
DOMAIN_LISTS = {
    "d-clean": (["test{l}. A 127.0.1.2"], "list-ok"),
    "d-hit": (["test{l}. A 127.0.1.2", "healthy.example{l}. A 127.0.1.5"],
              "list-listed"),
    "d-wild": (["*{l}. A 127.0.1.2"], "list-unusable"),
}


def reverse_v6(address):
    import ipaddress
    return ipaddress.ip_address(address).reverse_pointer.removesuffix(
        ".ip6.arpa")


def blocklists(folder, keys):
    zones = zones_of(keys)
    for name, (records, *_) in (LISTS | DOMAIN_LISTS).items():
        for record in records:
            zones.add(record.format(
                l=f".{name}.example", v6=reverse_v6(V6),
                v6test=reverse_v6("::ffff:127.0.0.2")))
    options = [o for n in LISTS for o in ("--list", f"{n}.example")]
    options += [o for n in DOMAIN_LISTS
                for o in ("--list", f"domain:{n}.example")]
    with Served(folder / "lists", zones.text()) as served:
        conf = write(folder, served.port)
        found = run(conf, keys.files["key"], "healthy", *options)
        of = {}
        for f in found.all:
            if f["code"].startswith("list-"):
                for name in list(LISTS) + list(DOMAIN_LISTS):
                    if f"{name}.example" in f["found"].split(" "):
                        of.setdefault((name, f["subject"]), []).append(f)
        wanted = {(n, a): c for n, (_, *codes) in LISTS.items()
                  for a, c in zip((V4, V6), codes)}
        wanted |= {(n, "healthy.example"): c
                   for n, (_, c) in DOMAIN_LISTS.items()}
        assert {k: [f["code"] for f in v] for k, v in of.items()} == \
            {k: [c] for k, c in wanted.items()}, found
        for (name, _), (f,) in of.items():
            assert f["status"] == {"list-ok": "ok", "list-listed": "fail",
                                   "list-unusable": "skip"}[f["code"]], f
            if f["code"] == "list-listed" and name == "hit" and \
                    f["subject"] == V4:
                assert "127.0.0.4" in f["found"] and "seen" in f["found"]
        print(f"  {len(of)} looks into lists")
        # the same by the configuration
        conf.write_text(conf.read_text().replace(
            "dnscheck {", 'dnscheck { lists = { "hit.example", '
            '"domain:d-clean.example" } '))
        found = run(conf, keys.files["key"], "healthy")
        assert sorted(f["code"] for f in found.all
                      if f["code"].startswith("list-")) == \
            ["list-listed", "list-listed", "list-ok"], found


def silent(folder, keys):
    """A resolver that is not there: nothing is ok, nothing is a fault."""
    found = run(write(folder, 9), keys.files["key"], "healthy", "--timeout",
                "2s", "--list", "clean.example")
    assert found.status == 0, found
    assert {f["status"] for f in found.all
            if not f["code"].startswith("bimi-")} == {"skip"}, found


def main():
    dns.need()
    if not shutil.which("openssl"):
        skip("openssl is not installed")
    with Folder() as folder:
        keys = Keys(folder)
        for part in (every_fault, keys_of_all_kinds, configured, blocklists,
                     silent):
            print(part.__name__, flush=True)
            part(folder, keys)


if __name__ == "__main__":
    sys.exit(main())
