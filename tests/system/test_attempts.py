"""One attempt: go on to the next host, or stop. Every row of the table in
outpost(8)'s terms, and what stands around it, against scripted servers found
through nsd and unbound; prints a row a case.
"""
import collections
import email
import os
import pathlib
import re
import smtplib
import socket
import subprocess
import sys
import time

from dns import Dns, Moody
from outpost import Folder, Instance, wait_until
from scripted import (CLOSE, NO_TLS, OFFERS, PIPELINING, RESET, SILENT, Answer,
                      Stage)

ZONE = "cases.example"
TLS_OFFERS = (*OFFERS, "STARTTLS")
PLAIN = ("8BITMIME",)
STEPS = (PIPELINING, "8BITMIME")
DEAD = None  # nobody listens there

Case = collections.namedtuple(
    "Case", "name hosts expect visits dns tls to check literal",
    defaults=["", "", "", None, None])


def case(name, hosts, expect, visits=None, **more):
    """hosts: a script each (DEAD: nobody listens). expect: for each recipient
    "delivered N" by the N-th host, "deferred STATUS CAUSE" or "bounced STATUS";
    trailing words may be left out. visits: the hosts that were connected to, in
    order. dns: records in place of one MX a host."""
    if isinstance(expect, str):
        expect = {"a": expect}
    return Case(name, hosts, expect, visits, **more)


def domain_of(c):
    return c.literal or f"{c.name}.{ZONE}"


def in_clear(hosts):
    assert not hosts[1].connections[-1].is_tls


def in_tls(number):
    def check(hosts):
        assert hosts[number].connections[-1].is_tls, "not in TLS"
    return check


def as_helo(hosts):
    assert len(hosts[1].connections) == 1, "a second connection"
    assert hosts[1].commands()[:2] == [
        "EHLO test.outpost.example", "HELO test.outpost.example"]


def never_early(hosts):
    assert not any(c.is_early for h in hosts.values() if h
                   for c in h.connections), "sent ahead"


def with_bdat(hosts):
    assert "BDAT" in " ".join(hosts[1].commands())


OK = {}
MIX = {"b": "450 4.2.1 busy", "c": "550 5.1.1 nobody"}
MIXED = {"a": "delivered 1", "b": "deferred 4.2.1 retry", "c": "bounced 5.1.1"}

CASES = [
    # DNS
    case("servfail", [], "deferred 4.4.3 dns", dns="; does not matter"),
    case("nxdomain", [], "bounced 5.1.2", dns="; nothing"),
    case("null-mx", [], "bounced 5.1.10", dns="{d} MX 0 ."),
    case("no-data", [], "bounced 5.4.4", dns='{d} TXT "x"'),
    case("mx-host-without-address", [DEAD, OK], "delivered 2", "2",
         dns='{d} MX 10 none.{d}\n{d} MX 20 h2.{d}\nnone.{d} TXT "x"\n'
             'h2.{d} A {ip2}'),
    case("mx-host-nxdomain", [DEAD, OK], "delivered 2", "2",
         dns="{d} MX 10 nx.{d}\n{d} MX 20 h2.{d}\nh2.{d} A {ip2}"),
    case("mx-hosts-all-without-address", [], "bounced 5.4.4",
         dns="{d} MX 10 nx1.{d}\n{d} MX 20 nx2.{d}"),
    case("mx-host-servfail", [DEAD, OK], "delivered 2", "2",
         dns="{d} MX 10 servfail.{d}\n{d} MX 20 h2.{d}\nh2.{d} A {ip2}"),
    case("mx-host-servfail-only", [], "deferred 4.4.3",
         dns="{d} MX 10 servfail.{d}\n{d} MX 20 nx.{d}"),
    case("implicit-mx", [OK], "delivered 1", "1", dns="{d} A {ip1}"),
    case("domain-is-cname", [OK], "delivered 1", "1",
         dns="{d} CNAME real.{d}\nreal.{d} MX 10 h1.{d}\nh1.{d} A {ip1}"),
    case("mx-host-is-cname", [OK], "delivered 1", "1",
         dns="{d} MX 10 c.{d}\nc.{d} CNAME h1.{d}\nh1.{d} A {ip1}"),
    case("order-of-preference", [OK, OK], "delivered 2", "2",
         dns="{d} MX 20 h1.{d}\n{d} MX 10 h2.{d}\nh1.{d} A {ip1}\n"
             "h2.{d} A {ip2}"),
    case("literal", [OK], "delivered 1", "1", literal="[127.0.240.1]"),
    # connection
    case("refused", [DEAD, OK], "delivered 2", "2"),
    case("refused-everywhere", [DEAD, DEAD], "deferred 4.4.1 connect"),
    case("second-address-of-one-host", [DEAD, OK], "delivered 2", "2",
         dns="{d} MX 10 h.{d}\nh.{d} A {ip1}\nh.{d} A {ip2}"),
    case("reset-before-banner", [{"connect": Answer(then=RESET)}, OK],
         "delivered 2", "12"),
    case("close-before-banner", [{"connect": Answer(then=CLOSE)}, OK],
         "delivered 2", "12"),
    case("garbage-banner", [{"connect": "HTTP/1.1 200 ok"}, OK],
         "delivered 2", "12"),
    # banner, EHLO
    case("banner-4xx", [{"connect": "451 4.3.2 not now"}, OK], "delivered 2",
         "12"),
    case("banner-421", [{"connect": Answer("421 4.3.2 busy", then=CLOSE)}, OK],
         "delivered 2", "12"),
    case("banner-5xx", [{"connect": "554 5.7.1 not you"}, OK], "delivered 2",
         "12"),
    case("banner-5xx-everywhere", [{"connect": "554 5.7.1 not you"}] * 2,
         "deferred 4", "12"),
    case("ehlo-4xx", [{"EHLO": "451 4.3.0 later"}, OK], "delivered 2", "12"),
    case("ehlo-refused-helo-taken", [{"EHLO": "502 5.5.1 what?"}],
         "delivered 1", "1", check=as_helo),
    case("ehlo-and-helo-refused",
         [{"EHLO": "550 5.7.1 no", "HELO": "550 5.7.1 no"}, OK],
         "delivered 2", "12"),
    case("ehlo-closes", [{"EHLO": Answer(then=CLOSE)}, OK], "delivered 2",
         "12"),
    # MAIL, RCPT
    case("mail-4xx", [{"MAIL": "451 4.7.1 greylisted"}, OK],
         "deferred 4.7.1 retry", "1"),
    case("mail-5xx", [{"MAIL": "550 5.7.1 listed"}, OK], "bounced 5.7.1", "1"),
    case("mail-421", [{"MAIL": Answer("421 4.3.2 bye", then=CLOSE)}, OK],
         "delivered 2", "12"),
    case("mail-lost", [{"MAIL": Answer(then=CLOSE), "offers": STEPS}, OK],
         "delivered 2", "112"),  # once more step by step
    # all of it was sent ahead of the answer
    case("mail-lost-bdat", [{"MAIL": Answer(then=CLOSE)}, OK],
         "uncertain 4.4.2 uncertain", "1"),
    case("rcpt-4xx", [{"RCPT": "450 4.2.0 greylisted"}, OK],
         "deferred 4.2.0 retry", "1"),
    case("rcpt-5xx", [{"RCPT": "550 5.1.1 nobody"}, OK], "bounced 5.1.1", "1"),
    case("rcpt-552", [{"RCPT": "552 too many"}, OK], "deferred 4.5.3 retry",
         "1"),
    case("rcpt-421", [{"RCPT": Answer("421 4.3.2 bye", then=CLOSE)}, OK],
         "delivered 2", "12"),
    # DATA, content
    *(case(f"{name}-{word}", [{"offers": offers, **script}, *rest], expect,
           visits)
      for word, offers in (("plain", PLAIN), ("pipelining", STEPS))
      for name, script, rest, expect, visits in (
          ("data-4xx", {"DATA": "451 4.3.0 no"}, [OK], "deferred 4.3.0 retry",
           "1"),
          ("data-5xx", {"DATA": "554 5.6.0 no"}, [OK], "bounced 5.6.0", "1"),
          ("data-421", {"DATA": Answer("421 bye", then=CLOSE)}, [OK],
           "delivered 2", "12"),
          ("end-4xx", {"end": "451 4.3.0 no"}, [OK], "deferred 4.3.0 retry",
           "1"),
          ("end-5xx", {"end": "554 5.7.1 spam"}, [OK], "bounced 5.7.1", "1"),
          ("end-421", {"end": Answer("421 bye", then=CLOSE)}, [OK],
           "delivered 2", "12"),
          ("end-lost", {"end": Answer(then=CLOSE)}, [OK],
           "uncertain 4.4.2 uncertain", "1"),
          ("end-reset", {"end": Answer(then=RESET)}, [OK],
           "uncertain 4.4.2 uncertain", "1"))),
    case("bdat-end-4xx", [{"end": "451 4.3.0 no"}, OK], "deferred 4.3.0 retry",
         "1"),
    case("bdat-end-5xx", [{"end": "554 5.7.1 spam"}, OK], "bounced 5.7.1",
         "1"),
    case("bdat-end-421", [{"end": Answer("421 bye", then=CLOSE)}, OK],
         "delivered 2", "12"),
    case("bdat-end-lost", [{"end": Answer(then=CLOSE)}, OK],
         "uncertain 4.4.2 uncertain", "1"),
    # STARTTLS
    case("tls", [{"offers": TLS_OFFERS}], "delivered 1", "1", check=in_tls(1)),
    case("tls-broken", [{"offers": TLS_OFFERS,
                         "STARTTLS": Answer("220 go", then=NO_TLS)}, OK],
         "delivered 1", "11", check=in_clear),
    case("tls-closed", [{"offers": TLS_OFFERS,
                         "STARTTLS": Answer("220 go", then=CLOSE)}, OK],
         "delivered 1", "11", check=in_clear),
    case("tls-454", [{"offers": TLS_OFFERS, "STARTTLS": "454 4.7.0 no"}, OK],
         "delivered 1", "1", check=in_clear),
    case("tls-required-and-broken",
         [{"offers": TLS_OFFERS, "STARTTLS": Answer("220 go", then=NO_TLS)}],
         "deferred 4.7.5", "1", tls="require"),
    case("tls-required-and-absent", [OK], "deferred 4.7.4", "1",
         tls="require"),
    case("tls-required-and-refused",
         [{"offers": TLS_OFFERS, "STARTTLS": "454 4.7.0 no"}], "deferred 4",
         "1", tls="require"),
    case("tls-required-second-host", [OK, {"offers": TLS_OFFERS}],
         "delivered 2", "12", tls="require", check=in_tls(2)),
    case("tls-none", [{"offers": TLS_OFFERS}], "delivered 1", "1", tls="none",
         check=in_clear),
    case("tls-injected", [{"offers": TLS_OFFERS, "STARTTLS":
                           "220 go\n250-scripted.example\n250 DSN"}, OK],
         "delivered 2", "12"),
    # promises not kept
    case("bdat-502", [{"BDAT": "502 5.5.1 what?"}], "delivered 1", "11"),
    case("too-large", [{"offers": ("SIZE 100",)}, OK], "bounced 5.3.4", "1"),
    case("ipv6-refused", [OK], "delivered 1", "1",
         dns="{d} MX 10 h.{d}\nh.{d} AAAA ::1\nh.{d} A {ip1}"),
    # recipients apart
    case("mixed-bdat", [{"RCPT": MIX}], MIXED, "1", to="abc",
         check=with_bdat),
    case("mixed-pipelining", [{"RCPT": MIX, "offers": STEPS}], MIXED, "1",
         to="abc"),
    case("mixed-plain", [{"RCPT": MIX, "offers": PLAIN}], MIXED, "1",
         to="abc", check=never_early),
    case("mixed-other-order-bdat", [{"RCPT": MIX}], MIXED, "1", to="cba"),
    case("mixed-other-order-plain", [{"RCPT": MIX, "offers": PLAIN}], MIXED,
         "1", to="bca"),
    case("all-refused-bdat", [{"RCPT": MIX}],
         {"b": "deferred 4.2.1 retry", "c": "bounced 5.1.1"}, "1", to="bc"),
    case("all-refused-pipelining", [{"RCPT": MIX, "offers": STEPS}],
         {"b": "deferred 4.2.1 retry", "c": "bounced 5.1.1"}, "1", to="bc"),
    case("mixed-and-end-4xx",
         [{"RCPT": MIX, "end": "451 4.3.0 no"}],
         {"a": "deferred 4.3.0 retry", "b": "deferred 4.2.1",
          "c": "bounced 5.1.1"}, "1", to="abc"),
]


class Bounces:
    """Where the senders' mail goes: the statuses in the reports."""

    def __init__(self, host):
        self.host = host

    def found(self):
        """{recipient: "bounced STATUS"}"""
        found = {}
        for message in self.host.messages:
            report = email.message_from_bytes(message.content)
            for part in report.walk():
                if part.get_content_type() != "message/delivery-status":
                    continue
                for block in part.get_payload()[1:]:
                    to = block["Final-Recipient"].partition(";")[2].strip()
                    found[to] = f"bounced {block['Status']}"
        return found


class Suite:
    """Cases against one Outpost, and their table."""

    def __init__(self):
        self.failed = 0

    def row(self, name, expected, got, why=""):
        is_ok = got.startswith(expected) and not why
        self.failed += not is_ok
        print(f"{'ok' if is_ok else 'FAILED':7} {name:34} {expected:28} {got}"
              f"{' ' + why if why else ''}", flush=True)


def outcome_of(to, hosts, items, bounces):
    """What became of one recipient, or "" as long as nothing has."""
    item = items.get(to)
    if item is None:
        for number, host in hosts.items():
            if host and any(to in m.rcpts for m in host.messages):
                return f"delivered {number}"
        return bounces.get(to, "")
    if item["attempts"] == 0 or \
            item["state"] in ("ready", "active", "reporting"):
        return ""
    return f"{item['state']} {item['status']} {item['cause']}"


def order_of_visits(hosts):
    visits = [(c.at, number) for number, host in hosts.items() if host
              for c in host.connections]
    return "".join(str(number) for _, number in sorted(visits))


def send(outpost, sender, recipients, text=None):
    text = text or f"From: <{sender}>\nSubject: a case\n\nhello\n.\nend\n"
    with smtplib.SMTP("127.0.0.1", outpost.port) as client:
        client.sendmail(sender, recipients, text)


def make_certificate(folder):
    path = folder / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=scripted.example", "-keyout", path, "-out", folder / "crt.pem"],
        check=True, stderr=subprocess.DEVNULL)
    path.write_text(path.read_text() + (folder / "crt.pem").read_text())
    return path


# --- direct, by MX -----------------------------------------------------------

def records_of(c, number):
    """The case's part of the zone."""
    ips = {f"ip{i}": f"127.0.{number}.{i}" for i in (1, 2, 3)}
    if c.literal:
        return ""
    if c.dns:
        return c.dns.format(d=c.name, **ips) + "\n"
    text = ""
    for i in range(1, len(c.hosts) + 1):
        text += f"{c.name} MX {i}0 h{i}.{c.name}\n" \
                f"h{i}.{c.name} A {ips[f'ip{i}']}\n"
    return text


def open_hosts(stage, c, number):
    if c.literal:
        return {1: stage.host(c.literal.strip("[]"), c.hosts[0])}
    return {i: None if script is DEAD else
            stage.host(f"127.0.{number}.{i}", script)
            for i, script in enumerate(c.hosts, 1)}


def judge(suite, c, hosts, items, bounces):
    for local, expected in c.expect.items():
        to = f"{local}@{domain_of(c)}"
        got = outcome_of(to, hosts, items, bounces) or "nothing yet"
        why = ""
        if c.visits is not None and order_of_visits(hosts) != c.visits:
            why = f"(visited {order_of_visits(hosts) or 'none'}, " \
                f"not {c.visits})"
        try:
            if c.check:
                c.check(hosts)
        except (AssertionError, IndexError) as error:
            why += f" ({c.check.__name__}: {error})"
        name = c.name if len(c.expect) == 1 else f"{c.name} {local}"
        suite.row(name, expected, got, why)


def all_items(outpost):
    return {i["recipient"]: i for i in outpost.queue()}


def run_direct(suite, folder, stage):
    zone = "".join(records_of(c, n) for n, c in enumerate(CASES, 1))
    routes = "".join(f'route "{domain_of(c)}" {{ tls = "{c.tls}" }}\n'
                     for c in CASES if c.tls)
    hosts = {c.name: open_hosts(stage, c, n) for n, c in enumerate(CASES, 1)}
    bounces = Bounces(stage.host("127.0.250.1"))
    with Dns(folder, {ZONE: zone}) as unbound, Moody(unbound.port) as dns, \
            Instance(folder / "direct", f'''
resolvers = {{ "127.0.0.1:{dns.port}" }}
port = {stage.port}
allow-local-mx = on
retry {{ wait = 1h  factor = 1 }}
limits {{ connections-per-client = 1000 }}
route "sender.example" {{ servers = {{ "smtp://127.0.250.1:{stage.port}" }} }}
{routes}''') as outpost:
        for c in CASES:
            send(outpost, f"{c.name}@sender.example",
                 [f"{x}@{domain_of(c)}" for x in c.to or "a"])
        judge_all(suite, outpost, CASES, hosts, bounces)
        uncertain_again(suite, outpost, hosts)


def judge_all(suite, outpost, cases, hosts, bounces, seconds=20):
    def settled():
        items, reports = all_items(outpost), bounces.found()
        return all(outcome_of(f"{x}@{domain_of(c)}", hosts[c.name], items,
                              reports) for c in cases for x in c.expect)

    before = suite.failed
    wait_until(settled, seconds, 0.3)
    items, reports = all_items(outpost), bounces.found()
    for c in cases:
        judge(suite, c, hosts[c.name], items, reports)
    if suite.failed > before:
        print(outpost.text())


def uncertain_again(suite, outpost, hosts):
    """What may have been taken is recorded as such, and sent once more."""
    name = "end-lost-plain"
    to = f"a@{name}.{ZONE}"
    item = all_items(outpost).get(to)
    if not item:
        suite.row("uncertain-recorded", "uncertain 1", "nothing")
        return
    suite.row("uncertain-recorded", "uncertain 1",
              f"uncertain {item['uncertain']}")
    before = outpost.stats()["uncertain"]
    suite.row("uncertain-counted", "6", str(before))
    tries = outpost.json("queue", "show", item["id"])[0]["attempts"]
    suite.row("uncertain-shown", "uncertain",
              tries[-1]["result"] if tries else "no attempt")
    host = hosts[name][1]
    host.script.pop("end")
    outpost.command("queue", "retry", item["id"])
    wait_until(lambda: to not in all_items(outpost), 10, 0.1)
    ids = {re.search(rb"Subject: (.*)", m.content).group(1)
           for m in host.messages}
    suite.row("uncertain-sent-again", "2 copies of 1",
              f"{len(host.messages)} copies of {len(ids)}")


# --- relays and routes -------------------------------------------------------

def told(number, name, peer):
    def check(hosts):
        c = hosts[number].connections[-1]
        assert (c.name, c.peer) == (name, peer), (c.name, c.peer)
    return check


def url(n, i, stage):
    return f'"smtp://127.0.{n}.{i}:{stage.port}"'


def run_relays(suite, folder, stage):
    """Relay mode. Which servers a case has is in the configuration; all share
    the hosts of relay "default", 127.0.200.x."""
    (folder / "relays").mkdir()

    def servers(*numbers):
        return "{ " + ", ".join(url(200, i, stage) for i in numbers) + " }"

    scripts = [DEAD, {"connect": Answer("421 busy", then=CLOSE)}, {}, {}, {},
               {"MAIL": "550 5.7.1 no relaying"}, {"implicit": True}]
    hosts = {i: script if script is DEAD else
             stage.host(f"127.0.200.{i}", script)
             for i, script in enumerate(scripts, 1)}
    bounces = Bounces(stage.host("127.0.250.2"))
    cases = [
        ("relays-in-turn", "one@sender.example", "a@any.example",
         "delivered 3", told(3, "test.outpost.example", "127.0.0.1")),
        ("route-wins-over-mode", "two@sender.example", "a@routed.example",
         "delivered 4", None),
        ("longest-wildcard", "two@sender.example", "a@x.deep.wild.example",
         "delivered 5", None),
        ("wildcard", "two@sender.example", "a@x.wild.example", "delivered 4",
         None),
        ("wildcard-not-itself", "two@sender.example", "a@wild.example",
         "delivered 3", None),
        ("route-to-relay", "two@sender.example", "a@viarelay.example",
         "delivered 5", None),
        ("sender-relay", "boss@own.example", "a@b.example", "delivered 5",
         None),
        ("route-wins-over-sender", "boss@own.example", "b@routed.example",
         "delivered 4", None),
        ("line-identity", "x@group.example", "a@c.example", "delivered 3",
         told(3, "group.example.net", "127.0.0.77")),
        ("line-by-route", "two@sender.example", "a@grouped.example",
         "delivered 3", told(3, "group.example.net", "127.0.0.77")),
        ("line-relay", "x@group2.example", "a@d.example", "delivered 5",
         told(5, "[127.0.0.78]", "127.0.0.78")),
        ("relay-refuses-sender", "two@sender.example", "a@refused.example",
         "bounced 5.7.1", None),
        ("smtps", "two@sender.example", "a@smtps.example", "delivered 7",
         in_tls(7)),
        ("smtps-to-a-plain-server", "two@sender.example", "a@plain.example",
         "deferred 4.7.5 connect", None),
        ("all-relays-down", "two@sender.example", "a@down.example",
         "deferred 4.0.0 connect", None),
        ("relay-name-unknown", "two@sender.example", "a@typo.example",
         "deferred 4.4", None),
    ]
    with Dns(folder / "relays", {ZONE: ""}) as dns, \
            Instance(folder / "relays", f'''
mode = "relay"
resolvers = {{ "127.0.0.1:{dns.port}" }}
retry {{ wait = 1h }}
relay "default" {{ servers = {servers(1, 2, 3)} }}
relay "other" {{ servers = {servers(5)} }}
line "group" {{ count = 2  localname = "group.example.net"
               bind = {{ "127.0.0.77" }} }}
line "group2" {{ count = 1  localname = "127.0.0.78"
                bind = {{ "127.0.0.78" }}  relay = "other" }}
sender "@own.example" {{ relay = "other" }}
sender "@group.example" {{ line = "group" }}
sender "@group2.example" {{ line = "group2" }}
route "routed.example" {{ servers = {servers(4)} }}
route "*.wild.example" {{ servers = {servers(4)} }}
route "*.deep.wild.example" {{ servers = {servers(5)} }}
route "viarelay.example" {{ relay = "other" }}
route "grouped.example" {{ line = "group" }}
route "refused.example" {{ servers = {servers(6, 3)} }}
route "down.example" {{ servers = {servers(1, 2)} }}
route "smtps.example" {{ servers = {{ "smtps://127.0.200.7:{stage.port}" }} }}
route "plain.example" {{ servers = {{ "smtps://127.0.200.3:{stage.port}" }} }}
route "typo.example" {{ servers = {{ "smtp://nowhere.{ZONE}:25" }} }}
route "sender.example" {{ servers = {{ "smtp://127.0.250.2:{stage.port}" }} }}
''') as outpost:
        before = suite.failed
        for name, sender, to, expected, check in cases:
            send(outpost, sender, [to])

            def outcome():
                return outcome_of(to, hosts, all_items(outpost),
                                  bounces.found())

            got, why = wait_until(outcome, 15, 0.1) or "nothing yet", ""
            try:
                if check:
                    check(hosts)
            except AssertionError as error:
                why = f"({error})"
            suite.row(name, expected, got, why)
        if suite.failed > before:
            print(outpost.text())


# --- waits, on a clock that runs faster ---------------------------------------

FACTOR = 60
SLOW = [
    case("banner-timeout", [{"connect": Answer(then=SILENT)}, OK],
         "delivered 2", "12"),
    case("ehlo-timeout", [{"EHLO": Answer(then=SILENT)}, OK], "delivered 2",
         "12"),
    case("mail-timeout", [{"MAIL": Answer(then=SILENT), "offers": PLAIN}, OK],
         "delivered 2", "12"),
    case("rcpt-timeout", [{"RCPT": Answer(then=SILENT), "offers": PLAIN}, OK],
         "delivered 2", "12"),
    case("data-timeout", [{"DATA": Answer(then=SILENT), "offers": PLAIN}, OK],
         "delivered 2", "12"),
    case("end-timeout", [{"end": Answer(then=SILENT), "offers": PLAIN}, OK],
         "uncertain 4.4.2 uncertain", "1"),
    case("tls-timeout", [{"offers": TLS_OFFERS,
                          "STARTTLS": Answer("220 go", then=SILENT)}],
         "delivered 1", "11", check=in_clear),
    case("dns-timeout", [], "deferred 4.4.3 dns", dns="silent"),
]


def run_slow(suite, folder, stage):
    clock = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", clock,
                    pathlib.Path(__file__).with_name("clock.c")], check=True)
    hosts = {c.name: open_hosts(stage, c, n) for n, c in enumerate(SLOW, 150)}
    bounces = Bounces(stage.host("127.0.250.3"))
    routes = ""
    for n, c in enumerate(SLOW, 150):
        urls = [url(n, i, stage) for i in hosts[c.name]]
        if urls:
            routes += f'route "{domain_of(c)}" ' \
                f'{{ servers = {{ {", ".join(urls)} }} }}\n'
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    outpost = Instance(folder / "slow", f'''
resolvers = {{ "127.0.0.1:{silent.getsockname()[1]}" }}
retry {{ wait = 1h }}
{routes}''')
    os.environ.update(LD_PRELOAD=str(clock), CLOCK_FACTOR=str(FACTOR))
    try:
        outpost.start()
    finally:
        os.environ.pop("LD_PRELOAD")
    with silent:
        try:
            for c in SLOW:
                send(outpost, f"{c.name}@sender.example",
                     [f"a@{domain_of(c)}"])
            judge_all(suite, outpost, SLOW, hosts, bounces, 30)
        finally:
            outpost.stop()


def main():
    suite = Suite()
    began = time.monotonic()
    with Folder() as folder, Stage(certificate=make_certificate(folder)) \
            as stage:
        run_direct(suite, folder, stage)
        run_relays(suite, folder, stage)
        run_slow(suite, folder, stage)
    print(f"{suite.failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
