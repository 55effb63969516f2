"""outpost dnscheck: every fault of addresses, reverse DNS and local names has
its code and no other, and its record, published as it says, heals it. Zones by
nsd, resolved by unbound; each case is a line group of its own.
"""
import ipaddress
import os
import subprocess
import sys

import dns
from checked import Found, Served, Zones
from outpost import Folder

D = "example.com"
R4 = "2.0.192.in-addr.arpa"
R6 = "8.b.d.0.1.0.0.2.ip6.arpa"
SUB = f"0-127.{R4}"  # RFC 2317

# name: (records, codes). {n} is the case's local name, {a} its address, {r} the
# reverse name of it, {i} its number. Without codes all is well.
A, PTR = "{n}. A {a}", "{r}. PTR {n}."
CASES = {
    "healthy": ([A, PTR], []),
    "missing": ([A], ["reverse-missing"]),
    "delegated": ([A, "{r}. CNAME {i}." + SUB + ".",
                   "{i}." + SUB + ". PTR {n}."], []),
    "delegated-empty": ([A, "{r}. CNAME {i}." + SUB + "."],
                        ["reverse-alias-empty"]),
    "bad-name": ([A, "{r}. PTR localhost."], ["reverse-bad-name"]),
    "bare-name": ([A, "{r}. PTR mail."], ["reverse-bad-name"]),
    "no-forward": ([A, "{r}. PTR nothing." + D + "."],
                   ["reverse-forward-missing"]),
    "other-forward": ([A, "{r}. PTR elsewhere." + D + "."],
                      ["reverse-forward-other"]),
    "other-name": ([A, "{r}. PTR alt-{n}.", "alt-{n}. A {a}"],
                   ["reverse-other-name"]),
    "many": ([A, PTR, "{r}. PTR alt-{n}.", "alt-{n}. A {a}"],
             ["reverse-many"]),
    "unnamed": ([PTR], ["name-missing", "reverse-forward-missing"]),
    "empty-name": ([PTR, "{n}. TXT x"],
                   ["name-missing", "reverse-forward-missing"]),
    "wrong-name": ([PTR, "{n}. A 192.0.2.250"],
                   ["name-other-address", "reverse-forward-other"]),
    "alias": ([PTR, "{n}. CNAME real-{n}.", "real-{n}. A {a}"],
              ["name-alias"]),
    "dynamic": ([A, "{r}. PTR 192-0-2-{i}.dsl." + D + ".",
                 "192-0-2-{i}.dsl." + D + ". A {a}"],
                ["address-dynamic", "reverse-other-name"]),
}
V4_ONLY = {"wrong-family": ([PTR, "{n}. AAAA 2001:db8::99"],
                            ["name-no-a", "reverse-forward-missing"])}
V6 = {"wrong-family": ([PTR, "{n}. A 192.0.2.99"],
                       ["name-no-aaaa", "reverse-forward-missing"])}


class Case:
    def __init__(self, number, name, is_v6, records, codes):
        self.line = f"{name}{'-v6' if is_v6 else ''}"
        self.name = f"{self.line}.{D}"
        self.codes = codes
        self.local = f"127.0.0.{number}"
        self.address = f"2001:db8::{number:x}" if is_v6 else \
            f"192.0.2.{number}"
        if is_v6:
            self.local = self.address
        reverse = ipaddress.ip_address(self.address).reverse_pointer
        kinds = (" A ", " AAAA ") if is_v6 and name != "wrong-family" else \
            (" A ", " A ")
        self.records = [
            r.replace(*kinds).replace("192.0.2.250", "2001:db8::fa" if is_v6
                                      else "192.0.2.250")
            .format(n=self.name, a=self.address, r=reverse, i=number)
            for r in records]

    def conf(self):
        return (f'line "{self.line}" {{ localname = "{self.name}" '
                f'bind = {{ "{self.local}" }} node "far" {{ }} }}\n')


def cases(is_v6):
    table = dict(CASES, **(V6 if is_v6 else V4_ONLY))
    if is_v6:  # words, not numbers, tell there; delegations are no shorter
        for name in ("dynamic", "delegated", "delegated-empty"):
            del table[name]
    return [Case(i, name, is_v6, *what)
            for i, (name, what) in enumerate(table.items(), 10)]


def write(folder, port, lines, external=()):
    """external: "LOCAL=ADDRESS". The root is not to be asked for: there is
    none."""
    path = folder / "outpost.conf"
    external = ", ".join(f'"{e}"' for e in external)
    path.write_text(
        f'localname = "mail.{D}"\nspool = "{folder}"\n'
        f'resolvers = {{ "127.0.0.1:{port}" }}\ntls {{ dane = off }}\n'
        f'dnscheck {{ signed-name = "{D}" port25 = {{ }} external = {{ {external} }} }}\n'
        + lines)
    return path


def zones_of(all_cases):
    zones = Zones(D, R4, R6, SUB)
    # what each line group sends as: test_dnscheck_domain.py is about that
    zones.add(f'mail.{D}. TXT "v=spf1 +all"')
    zones.add(f"elsewhere.{D}. A 192.0.2.251")
    zones.add(f"elsewhere.{D}. AAAA 2001:db8::fb")
    for case in all_cases:
        for record in case.records:
            zones.add(record)
    return zones


def run_cases(folder, port, all_cases, *options):
    conf = write(folder, port, "".join(c.conf() for c in all_cases),
                 [f"{c.local}={c.address}" for c in all_cases])
    found = Found(conf, *options)
    assert found.status in (0, 1), found
    return found


def judge(case, found):
    faults = found.faults(case.line)
    assert sorted(faults) == sorted(case.codes), (case.line, faults)
    for f in faults.values():
        assert f["remedy"] and f["expected"] and f["record"], f
        assert f["found"] and f["subject"] in (case.name, case.address), f


def every_fault(folder, is_v6):
    """Found as such; then the records are published and nothing is left."""
    all_cases = cases(is_v6)
    zones = zones_of(all_cases)
    options = ["--node", "far"] if is_v6 else []
    with Served(folder / "before", zones.text()) as served:
        found = run_cases(folder, served.port, all_cases, *options)
    for case in all_cases:
        judge(case, found)
    assert found.status == 1
    for case in all_cases:
        for f in found.faults(case.line).values():
            zones.apply(f["record"])
    with Served(folder / "after", zones.text()) as served:
        healed = run_cases(folder, served.port, all_cases, *options)
    for case in all_cases:
        assert not healed.faults(case.line), (case.line, healed)
        print(f"{case.line:<20} {' '.join(case.codes) or 'ok':<44} healed: "
              + "; ".join(f["found"] for f in healed.line(case.line)
                          if f["code"].startswith("reverse-")))


def settings(folder):
    """What is wrong with the configuration itself: the remedy names the
    setting and its line, and the right value heals it."""
    zones = Zones(D, R4, "provider.example")
    for record in (f"mail.{D}. A 192.0.2.1",
                   f"1.{R4}. PTR mail.{D}.",
                   "provider.example. A 192.0.2.77",
                   "provider.example. MX 1 mx.provider.example."):
        zones.add(record)
    wrong = {  # local name: code
        "[192.0.2.1]": "name-literal", "[192.0.2.9]": "name-literal-other",
        "192.0.2.1": "name-is-address", "host.local": "name-private",
        "localhost": "name-localhost", "mail": "name-bare",
        "provider.example": "name-foreign-domain", f"mail.{D}": "name-ok",
    }
    with Served(folder / "settings", zones.text()) as served:
        conf = write(folder, served.port, 'line "one" { bind = { "127.0.0.1" }'
                     ' }\n')
        for name, code in wrong.items():
            found = Found(conf, "--localname", name, "--ip",
                          "127.0.0.1=192.0.2.1")
            f, = [f for f in found.line("one")
                  if f["code"].startswith("name-")]
            assert f["code"] == code, (name, f)
            assert code == "name-ok" or "localname" in f["remedy"], f
            print(f"{name:<20} {f['status']} {code}")
        addresses(folder, conf)


def addresses(folder, conf):
    """Addresses that are not what the world sees: never a wrong ok."""
    for bind, options, code, status in (
            ("127.0.0.1", [], "address-loopback", "fail"),
            ("127.0.0.1", ["--ip", "127.0.0.1=192.0.2.1"], "address-nat",
             "ok"),
            ("127.0.0.1", ["--ip", "127.0.0.1=10.0.0.1"],
             "address-not-public", "fail"),
            ("203.0.113.77", [], "address-not-here", "fail"),
            ("10.1.2.3", ["--node", "far"], "address-private", "skip"),
            ("100.64.1.2", ["--node", "far"], "address-cgnat", "skip"),
            ("100.64.1.2", ["--node", "far", "--ip", "192.0.2.1"],
             "address-shared", "warn"),
            ("10.1.2.3", ["--node", "far", "--ip", "192.0.2.1"],
             "address-nat", "ok"),
            ("169.254.1.2", ["--node", "far"], "address-link-local", "fail"),
            ("fe80::1", ["--node", "far"], "address-link-local", "fail"),
            ("2002:c000:201::1", ["--node", "far"], "address-tunnel", "warn"),
            ("fd00::1", ["--node", "far"], "address-private", "skip")):
        text = conf.read_text().split("line ")[0]
        conf.write_text(f'{text}line "one" {{ bind = {{ "{bind}" }} '
                        'node "far" { } }\n')
        found = Found(conf, "--timeout", "3s", *options)
        f = [f for f in found.line("one")
             if f["code"].startswith("address-")][0]
        assert (f["code"], f["status"]) == (code, status), (bind, options, f)
        assert status == "ok" or f["remedy"], f
        if status == "skip":
            assert "--ip" in f["remedy"], f
            assert not [f for f in found.line("one") if f["status"] == "ok"]
        print(f"{bind:<18} {' '.join(options):<34} {status} {code}")


SPACE = ["unshare", "--net", "--uts", "--map-root-user"]
INSIDE = """ip link set lo up
hostname mta1
ip addr add 192.0.2.10/24 dev lo
ip -6 addr add 2001:db8::10/64 dev lo nodad
ip route add default dev lo src 192.0.2.10
ip -6 route add default dev lo src 2001:db8::10"""
BEHIND_NAT = """ip addr add 10.0.0.5/24 dev lo
ip route replace default dev lo src 10.0.0.5"""
CUT_OFF = "ip route del default\nip -6 route del default"


def shell(script):
    subprocess.run(["sh", "-ec", script], check=True)


def chosen():
    """In a network of its own: without bind it is the kernel that chooses an
    address of each family."""
    shell(INSIDE)
    zones = Zones(D, R4, R6)
    for record in (f"mail.{D}. A 192.0.2.10", f"mail.{D}. AAAA 2001:db8::10",
                   f"10.{R4}. PTR mail.{D}.", ipaddress.ip_address(
                       "2001:db8::10").reverse_pointer + f". PTR mail.{D}."):
        zones.add(record)
    with Folder() as folder, Served(folder / "dns", zones.text()) as served:
        conf = write(folder, served.port, "")
        found = Found(conf)
        assert not found.faults("default"), found
        subjects = [f["subject"] for f in found.all
                    if f["code"] == "address-ok"]
        assert subjects == ["192.0.2.10", "2001:db8::10"], found
        shell(BEHIND_NAT)
        faults = Found(conf).faults("default")
        assert sorted(faults) == ["address-private", "name-unknown",
                                  "reverse-unknown"], faults
        assert not Found(conf, "--ip", "192.0.2.10").faults("default")
        shell(CUT_OFF)
        faults = Found(conf).faults("default")
        assert list(faults) == ["address-none"], faults
    print("chosen by the kernel: both families, NAT, no way out")


def in_a_space():
    """chosen, where there may be networks of one's own."""
    command = SPACE if os.getuid() else SPACE[:-1]
    if subprocess.run([*command, "true"], capture_output=True,
                      check=False).returncode:
        print("not tried: no network name spaces here")
        return
    subprocess.run([*command, sys.executable, __file__, "chosen"], check=True)


def node(folder):
    """Secrets that others may read, that are not there; the spool; a bare
    host name. Each remedy is done as it says."""
    secret = folder / "isp"
    with Served(folder / "node", {D: f"mail.{D}. IN A 192.0.2.1\n"}) as served:
        conf = write(folder, served.port, f'''mode = "relay"
relay "default" {{ servers = {{ "smtp://relay.{D}" }} user = "me"
  password-file = "{secret}" }}
''')

        def secret_found():
            found = Found(conf, "--fast")
            assert "address-relayed" in [f["code"] for f in found.all], found
            f, = [f for f in found.all
                  if f["code"].startswith("node-secret-")]
            assert f["subject"] == str(secret), f
            return f

        f = secret_found()
        assert f["code"] == "node-secret-missing" and str(conf) in \
            f["remedy"], f
        secret.write_text("hidden")
        secret.chmod(0o644)
        f = secret_found()
        assert f["code"] == "node-secret-mode", f
        shell(f["remedy"].split(";")[0])
        assert secret_found()["code"] == "node-secret-ok"
        text = conf.read_text()
        conf.write_text(text.replace(f'"{folder}"', '"/no/such"'))
        assert Found(conf, "--fast").code("node-spool-unknown")["remedy"]
        # nothing said: the machine's own name is the local name
        conf.write_text(text.replace(f'localname = "mail.{D}"\n', ""))
        found = [f["code"] for f in Found(conf, "--fast").all]
        assert {"node-name-bare", "node-name-ok"} & set(found), found
    print("node: secrets, spool, name")


def main():
    dns.need()
    if sys.argv[1:] == ["chosen"]:
        chosen()
        return
    in_a_space()
    with Folder() as folder:
        for name, is_v6 in (("v4", False), ("v6", True)):
            (folder / name).mkdir()
            every_fault(folder / name, is_v6)
        settings(folder)
        node(folder)


if __name__ == "__main__":
    sys.exit(main())
