"""TLS towards real servers, all programs together: each policy (settings, DANE,
MTA-STS, REQUIRETLS) against each state of a server, of three kinds: Postfix,
Exim, OpenSMTPD. Prints the table: delivered and how, deferred or bounced and
why. The servers' own trace headers have to say the same. (A submission server
with logins, Dovecot: test_login.py.)"""
import smtplib
import ssl
import sys

import unpacked
from dns import need
from outpost import Folder, Instance, free_port, skip
from tls_world import (CLEAR, SERVES, STATES, TLS, ZONE, Published, World,
                       settled)

UNPROVEN, NO_TLS = "deferred 4.7.5", "deferred 4.7.4"
# policy: (TLSA, MTA-STS, what becomes of mail to a server of each state)
POLICIES = {
    # RFC 7435: as good as can be had
    "opportunistic": ("", None, (TLS, TLS, TLS, TLS, CLEAR, CLEAR)),
    "require": ("", None, (TLS, TLS, TLS, TLS, UNPROVEN, NO_TLS)),
    "verify": ("", None, (TLS,) + (UNPROVEN,) * 4 + (NO_TLS,)),
    # RFC 7672 3.1.1: the key counts, not the date, not the name
    "dane-ee": ("ee", None, (TLS, TLS, TLS, TLS, UNPROVEN, NO_TLS)),
    # 3.1.2: a chain to that CA, the date, the name
    "dane-ta": ("ta", None, (TLS,) + (UNPROVEN,) * 4 + (NO_TLS,)),
    "dane-mismatch": ("wrong", None, (UNPROVEN,) * 5 + (NO_TLS,)),
    # 2.2.1: the records cannot be believed, nor their absence
    "dane-forged": ("forged", None, (UNPROVEN,) * 6),
    # 3.1.3: only usages that SMTP has no use for: TLS, not verified
    "dane-unusable": ("pkix", None, (TLS, TLS, TLS, TLS, UNPROVEN, NO_TLS)),
    # RFC 8461 5
    "sts-enforce": ("", ("enforce", True),
                    (TLS,) + (UNPROVEN,) * 4 + (NO_TLS,)),
    "sts-mismatch": ("", ("enforce", False), (UNPROVEN,) * 6),
    "sts-testing": ("", ("testing", False), (TLS, TLS, TLS, TLS, CLEAR, CLEAR)),
    # RFC 8461 2: DANE is not overruled by it
    "dane-over-sts": ("ee", ("enforce", False),
                      (TLS, TLS, TLS, TLS, UNPROVEN, NO_TLS)),
    # RFC 8689: none of the three promises it
    "requiretls": ("", None, ("bounced 5.7.30",) + (UNPROVEN,) * 4 + (NO_TLS,)),
}
MARKED = "requiretls"


def domains():
    return [Published(f"{state}.{server}.{policy}", server, state, tlsa, sts)
            for policy, (tlsa, sts, _) in POLICIES.items()
            for server, states in SERVES.items() for state in states]


def address(policy, server, state):
    return f"a@{state}.{server}.{policy}.{ZONE}"


def conf_of(world, listener, pem):
    return world.conf() + (
        f'listen "127.0.0.1:{listener}" {{ tls = "starttls" certificate = '
        f'"{pem}" key = "{pem}" }}\n'
        f'route "*.require.{ZONE}" {{ tls = "require" }}\n'
        f'route "*.verify.{ZONE}" {{ tls = "verify" }}\n'
        'line "default" { count = 20 }\n')


def send(world, listener):
    everybody = [address(p, server, s) for p in POLICIES
                 for server, states in SERVES.items() for s in states]
    for is_marked in (False, True):
        some = [a for a in everybody
                if (f".{MARKED}." in a) == is_marked]
        with smtplib.SMTP("127.0.0.1", listener) as smtp:
            smtp.starttls(context=ssl.create_default_context(
                cafile=world.ca.file))
            smtp.sendmail("me@own.example", some,
                          "Subject: x\r\n\r\nhello\r\n",
                          ["REQUIRETLS"] if is_marked else [])
    return everybody


def outcome_of(attempt, trace):
    """What is told of it; delivered how is told by the server."""
    result, status, _ = attempt
    if result == "delivered":
        return trace or "delivered, but the server has not got it"
    if trace:
        return f"{result}, but {trace}"
    return f"{result.replace('failed', 'bounced')} {status}"


def check(found, taken):
    failed = 0
    print(f"{'policy':15}{'state':13}{'server':11}what becomes of mail")
    for policy, (_, _, wanted) in POLICIES.items():
        for state, want in zip(STATES, wanted):
            for server in (k for k in SERVES if state in SERVES[k]):
                to = address(policy, server, state)
                got = outcome_of(found[to], taken.get(to))
                failed += got != want
                print(f"{policy:15}{state:13}{server:11}{got}"
                      + ("" if got in (TLS, CLEAR) else f": {found[to][2]}")
                      + ("" if got == want else
                         f"\n  WRONG, expected {want}"))
    return failed


def play(folder, world):
    listener = free_port()
    pem = world.ca.issue("localhost", ip="127.0.0.1")
    with Instance(folder / "outpost", conf_of(world, listener, pem)) as o:
        everybody = send(world, listener)
        found = settled(o, everybody)
        failed = check(found, world.arrived(found))
        assert not failed, o.text()
    print(f"{len(everybody)} cases")


def main():
    need()
    why = unpacked.why_not()
    if why:
        skip(f"private mail servers: {why}")
    with Folder() as folder, World(folder, domains()) as world:
        play(folder, world)
    return 0


if __name__ == "__main__":
    sys.exit(main())
