"""TLS towards servers: each level against each state of a server, by static
routes; what is recorded; a CA bundle that comes later; sessions resumed; a real
Postfix. Prints the table. (DANE, MTA-STS and handshakes that hang: unit tests
of the line, test_tls_line.c.)
"""
import os
import pathlib
import re
import ssl
import sys
import warnings

import postfix
from certificates import Authority
from dns import Dns
from outpost import BUILD, Folder, Instance, free_port, wait_until
from scripted import NO_TLS, OFFERS, Answer, Stage

LEVELS = ("none", "may", "require", "verify")
ZONE = "tls.example"
OLD = "TLS handshake: "
# state: what becomes of mail at may, require, verify. "tls", "clear", or the
# status and words of why it is deferred. At none all of it goes in clear.
STATES = {
    "good": ("tls", "tls", "tls"),
    "wildcard": ("tls", "tls", "tls"),
    "self-signed": ("tls", "tls", "4.7.5 is self-signed"),
    "other-ca": ("tls", "tls", '4.7.5 is of the CA "Other CA", which'),
    "expired": ("tls", "tls", "4.7.5 expired on 20"),
    "wrong-name": ("tls", "tls",
                   '4.7.5 is for "foo.example": name mismatch'),
    "deep-wildcard": ("tls", "tls", '4.7.5 "*.example": name mismatch'),
    "no-starttls": ("clear", "4.7.4 TLS is required",
                    "4.7.4 TLS is required"),
    "refuses": ("clear", '4.7.0 STARTTLS: 454 4.7.0 not now; tls = "require"',
                "4.7.0 STARTTLS: 454"),
    "nonsense": ("clear", f'4.7.5 {OLD}wrong version number; tls = "require"',
                 f"4.7.5 {OLD}wrong version"),
    "tls-1.1": ("clear", f"4.7.5 {OLD}tlsv1 alert protocol version (the "
                'server lacks TLS 1.2); tls = "require"',
                f"4.7.5 {OLD}tlsv1 alert"),
}
# In the log, of the state's server; in the record of the recipient.
LOGGED = (
    ("good", "policy=verify verified=pkix name=good.tls.example sha256="),
    ("wildcard", "policy=verify verified=pkix name=*.tls.example sha256="),
    ("good", "policy=may verified=no name=good.tls.example"),
    ("self-signed", "policy=require verified=no"),
)
RECORDED = (
    ("a@wrong-name.verify.example", "policy=verify verified=no failed="
     "certificate-host-mismatch name=foo.example sha256="),
    ("a@expired.verify.example", "failed=certificate-expired"),
    ("a@self-signed.verify.example", "failed=certificate-not-trusted"),
    ("a@no-starttls.verify.example", "None"),
)


def context_of(state, ca, other):
    host = f"{state}.{ZONE}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = {
        "self-signed": lambda: ca.issue(host, self_signed=True),
        "other-ca": lambda: other.issue(host),
        "expired": lambda: ca.issue(host, days=-1),
        "wrong-name": lambda: ca.issue("foo.example"),
        "wildcard": lambda: ca.issue(f"*.{ZONE}"),
        "deep-wildcard": lambda: ca.issue("*.example"),
    }.get(state, lambda: ca.issue(host))()
    context.load_cert_chain(pem)
    if state == "tls-1.1":
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def script_of(state):
    script = {"offers": (*OFFERS, "STARTTLS")}
    if state == "no-starttls":
        script["offers"] = OFFERS
    if state == "refuses":
        script["STARTTLS"] = "454 4.7.0 not now"
    if state == "nonsense":
        script["STARTTLS"] = Answer("220 go", then=NO_TLS)
    return script


def expected(state, level):
    return "clear" if level == "none" else \
        STATES[state][LEVELS.index(level) - 1]


class World:
    """A server for each state, and their names."""

    def __init__(self, folder, stage):
        self.folder, self.stage = folder, stage
        self.ca = Authority(folder)
        self.other = Authority(folder, "Other CA")
        self.hosts = {}
        for i, state in enumerate(STATES, 1):
            host = stage.host(f"127.0.61.{i}", script_of(state))
            host.tls = context_of(state, self.ca, self.other)
            self.hosts[state] = host

    def zones(self):
        return {ZONE: "".join(f"{state} A {host.address}\n"
                              for state, host in self.hosts.items())
                + "postfix A 127.0.0.1\n"}

    def route(self, state, level):
        return (f'route "{state}.{level}.example" {{ tls = "{level}" servers '
                f'= {{ "smtp://{state}.{ZONE}:{self.stage.port}" }} }}\n')


class Table:
    def __init__(self, world, outpost):
        self.world, self.outpost = world, outpost
        self.failed = 0

    def went(self, state, level):
        """"tls" or "clear" when it was delivered, else None."""
        for c in list(self.world.hosts[state].connections):
            for m in list(c.messages):
                if m.rcpts == [f"a@{state}.{level}.example"]:
                    return "tls" if c.is_tls else "clear"
        return None

    def is_settled(self, cases):
        waiting = {i["recipient"]: i for i in self.outpost.queue()}
        for state, level in cases:
            item = waiting.get(f"a@{state}.{level}.example")
            if item and not item["attempts"]:
                return None
        return waiting

    def check(self, state, level, waiting):
        want, got = expected(state, level), self.went(state, level)
        item = waiting.get(f"a@{state}.{level}.example")
        if got:
            shown = got
            is_good = got == want and not item
        else:
            shown = "deferred " + (item["reply"] if item else "nowhere")
            status, _, words = want.partition(" ")
            is_good = bool(item) and item["status"] == status and \
                words in item["reply"]
        self.failed += not is_good
        print(f"{'ok' if is_good else 'FAIL':5}{state:14}{level:9}{shown}"
              + ("" if is_good else f"\n     expected: {want}"))

    def check_evidence(self, recorded):
        log = self.outpost.log()
        for state, words in LOGGED:
            peer = f"peer={self.world.hosts[state].address}:"
            if not any("smtp-tls" in l and peer in l and words in l
                       for l in log.splitlines()):
                self.fail(f"{state}: {words}\n{log[-4000:]}")
        for recipient, words in RECORDED:
            if words not in recorded[recipient]:
                self.fail(f"{recipient}: {recorded[recipient]}")
        for state in ("nonsense", "tls-1.1"):
            if not re.search(f"tls-failed.*host={state}.{ZONE}.*in clear",
                             log):
                self.fail(f"{state}: not said that it went in clear")

    def fail(self, what):
        print("FAIL evidence of", what)
        self.failed += 1


def send(outpost, *recipients):
    done = outpost.sendmail("Subject: x\n\nhello\n", "-f", "me@own.example",
                            *recipients)
    assert done.returncode == 0, done.stderr.decode()


def run_table(world, dns):
    cases = [(s, l) for s in STATES for l in LEVELS]
    conf = (f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
            f'tls {{ ca-file = "{world.ca.file}" }}\nlog = "detailed"\n'
            + "".join(world.route(s, l) for s, l in cases))
    with Instance(world.folder / "table", conf) as outpost:
        table = Table(world, outpost)
        send(outpost, *(f"a@{s}.{l}.example" for s, l in cases))
        waiting = wait_until(lambda: table.is_settled(cases), 20)
        assert waiting is not None, outpost.text()
        for state, level in cases:
            table.check(state, level, waiting)
        ident = next(iter(waiting.values()))["id"]
        table.check_evidence(attempts_of(outpost, ident))
    return table.failed


def attempts_of(outpost, ident):
    """What was recorded of TLS, by recipient."""
    return {a["recipient"]: str(a["tls"])
            for a in outpost.json("queue", "show", ident)[0]["attempts"]}


def run_bundle(world, dns):
    """No bundle; then there is one."""
    bundle = world.folder / "later.pem"
    conf = (f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
            f'tls {{ ca-file = "{bundle}" }}\nlog = "detailed"\n'
            'line "default" { count = 1 messages-per-connection = 1 }\n'
            + world.route("good", "verify"))
    host = world.hosts["good"]
    with Instance(world.folder / "bundle", conf) as outpost:
        assert re.search("warning: no-ca-certificates.*later.pem: No such",
                         outpost.log()), outpost.text()
        send(outpost, "a@good.verify.example")
        item = wait_until(lambda: [i for i in outpost.queue()
                                   if i["attempts"]])[0]
        assert "later.pem: No such file or directory; install" in \
            item["reply"], item
        print("ok   no bundle:", item["reply"])
        before = len(host.messages)
        bundle.write_text(world.ca.file.read_text())
        old = outpost.pids("outpost-remote")
        outpost.command("reload")
        assert wait_until(lambda: "count=1" in outpost.log()), outpost.text()
        outpost.command("queue", "retry", "--all", "--yes")
        assert wait_until(lambda: len(host.messages) > before, 20), \
            outpost.text()
        assert set(outpost.pids("outpost-remote")) != set(old)
        outpost.wait_empty()
        print("ok   a bundle that came later, after reload")
        for i in range(3):
            send(outpost, "a@good.verify.example")
            outpost.wait_empty()
        texts = re.findall(r'smtp-tls .*text="([^"]*)"', outpost.log())
        assert any("verified=pkix" in t and "resumed=yes" in t
                   for t in texts), texts
        print("ok   resumed:", texts[-1])
        # nobody may listen to what the bundle says while it is replaced
        outpost.command("reload")
        assert outpost.log().count("ca-certificates-changed") == 1


def run_postfix(world, dns):
    why = postfix.why_not()
    if why:
        print(f"skip a private Postfix: {why}")
        return
    pem = world.ca.issue(f"postfix.{ZONE}")
    os.chmod(pem, 0o600)
    mail = world.folder / "mail"
    mail.mkdir()
    os.chown(mail, postfix.POSTFIX_UID, postfix.POSTFIX_UID)
    server = postfix.Postfix(world.folder / "postfix", BUILD / "postfix",
                             free_port(), {
        "virtual_mailbox_domains": "verify.example",
        "virtual_mailbox_base": mail,
        "virtual_mailbox_maps": "static:all/",
        "virtual_uid_maps": f"static:{postfix.POSTFIX_UID}",
        "virtual_gid_maps": f"static:{postfix.POSTFIX_UID}",
        "smtpd_tls_security_level": "encrypt",
        "smtpd_tls_chain_files": pem,
        "smtpd_tls_received_header": "yes",
    })
    conf = (f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
            f'tls {{ ca-file = "{world.ca.file}" }}\n'
            f'route "verify.example" {{ tls = "verify" servers = '
            f'{{ "smtp://postfix.{ZONE}:{server.port}" }} }}\n')
    try:
        server.start()
        with Instance(world.folder / "postfixed", conf) as outpost:
            send(outpost, "a@verify.example")
            found = wait_until(lambda: list((mail / "all").glob("new/*")), 20)
            assert found, outpost.text() + server.log()[-2000:]
            text = pathlib.Path(found[0]).read_text()
            assert re.search(r"using TLSv1.3 with cipher", text), text
            outpost.wait_empty()
            print("ok   Postfix, encrypt: verified, TLSv1.3")
    finally:
        server.stop()


def main():
    with Folder() as folder, Stage() as stage:
        world = World(folder, stage)
        with Dns(folder, world.zones()) as dns:
            failed = run_table(world, dns)
            run_bundle(world, dns)
            run_postfix(world, dns)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
