"""DANE as Postfix reads it: posttls-finger, of the unpacked Debian package, and
Outpost meet the same server by the same published records; what posttls-finger
sees must say the same as what becomes of mail, case by case. Root only.
"""
import random
import re
import socket
import sys

import unpacked
from dns import need
from outpost import Folder, Instance, skip
from tls_world import CLEAR, PLAIN, TLS, TLSA, Published, World, settled

STATES = ("good", "self-signed", "expired", "wrong-name")
DEFERRED = "deferred"


def domains():
    """By number, so that each is one label."""
    cases = [dict(state=state, tlsa=tlsa) for tlsa in TLSA
             for state in STATES]
    cases += [dict(state="next-hop", tlsa=tlsa)
              for tlsa in ("ee", "ta", "wrong", "forged")]
    cases += [dict(state=state, tlsa=tlsa, is_alias=True)
              for state in ("good", "wrong-name")
              for tlsa in ("ee", "ta", "wrong", "forged")]
    cases += [dict(state="good", tlsa=tlsa, zone=PLAIN)
              for tlsa in ("ee", "wrong")]
    cases += [dict(state="no-starttls", tlsa=tlsa)
              for tlsa in ("", "ee", "pkix", "forged")]
    return [Published(f"d{i}", "postfix", **case)
            for i, case in enumerate(cases)]


def nameserver():
    """An address of this machine whose port 53 nobody has: resolv.conf(5)
    knows no other port."""
    for _ in range(50):
        address = f"127.{random.randint(100, 250)}" \
            f".{random.randint(1, 250)}.53"
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind((address, 53))
            return address
        except OSError:
            continue
    skip("no address of 127.0.0.0/8 has its port 53 free")


def fingers(world):
    """{domain: what posttls-finger says}, several at a time."""
    folder = world.folder / "fingers"
    folder.mkdir()
    world.servers["postfix"].run(
        "xargs -P 6 -I NAME sh -c 'posttls-finger -c -v -l dane -F "
        f"{world.ca.file} -L summary NAME:{world.port} >{folder}/NAME 2>&1'",
        input="\n".join(d.name for d in world.domains), text=True,
        timeout=60, check=True)
    return {d.name: (folder / d.name).read_text() for d in world.domains}


def verdict(text):
    """What Postfix would do at smtp_tls_security_level = dane, from what
    posttls-finger found: that tool goes on where Postfix's client would not,
    and says "secure" where that would use "encrypt" or "may"."""
    if "TLSA lookup error" in text:
        return DEFERRED
    if " Verified TLS connection established" in text:
        return TLS
    if " TLS connection established" in text:
        return TLS if re.search("TLSA records found, resorting|all TLSA "
                                "records unusable", text) else DEFERRED
    if "connect_addr: trying" in text:  # and no STARTTLS there
        return CLEAR if "no TLSA records found" in text else DEFERRED
    return "unclear"


def compare(world, found, taken, seen):
    failed = 0
    for d in world.domains:
        to = f"a@{d.name}"
        ours = taken.get(to, DEFERRED) if found[to][0] == "delivered" \
            else found[to][0]
        theirs = verdict(seen[d.name])
        failed += ours != theirs
        what = " + ".join(TLSA[d.tlsa]) or "no TLSA"
        print(f"{'ok  ' if ours == theirs else 'NOT '} {d.state:12}"
              f"{d.tlsa:9}{what:24}"
              f"{'alias ' if d.mx != d.host else ''}"
              f"{'unsigned ' if d.zone == PLAIN else ''}"
              f"Outpost: {ours}, posttls-finger: {theirs}")
        if ours != theirs:
            print(found[to], seen[d.name][-1500:], sep="\n")
    return failed


def main():
    need()
    why = unpacked.why_not()
    if why:
        skip(f"posttls-finger in a private Postfix: {why}")
    address = nameserver()
    with Folder() as folder, World(
            folder, domains(), address,
            {"resolv.conf": f"nameserver {address}\noptions trust-ad\n"}) \
            as world:
        with Instance(folder / "outpost", world.conf()) as outpost:
            everybody = [f"a@{d.name}" for d in world.domains]
            done = outpost.sendmail("Subject: x\n\nhello\n", "-f",
                                    "me@own.example", *everybody)
            assert done.returncode == 0, done.stderr.decode()
            seen = fingers(world)
            found = settled(outpost, everybody)
        failed = compare(world, found, world.arrived(found), seen)
    print(f"{len(everybody)} cases, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
