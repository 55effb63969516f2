"""Relays with logins: every mechanism, and servers that do not want us, do not
know how, or ask without end."""
import base64
import json
import os
import smtplib
import ssl
import subprocess
import sys
import time

import dovecot
from login_peer import Login, server_context
from outpost import Folder, Instance, Sink, free_port, wait_until
from scripted import CLOSE, Answer, Stage

ODD = "with space #hash :colon \"quote\" $dollar \\back ä"
ME = "me@relay.example"


def make_certificate(folder, name):
    """Self-signed, for localhost; key and certificate in one file."""
    key, crt = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", crt],
        check=True, stderr=subprocess.DEVNULL)
    both = folder / f"{name}.pem"
    both.write_text(key.read_text() + crt.read_text())
    os.chmod(key, 0o600)
    return both, crt, key


class Case:
    """A private Outpost whose relays are hosts of one stage."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self.pem, self.crt, self.key = make_certificate(self.folder, "server")
        self.stage = Stage(certificate=self.pem)
        self.outpost = Instance(self.folder / "outpost")
        self.conf = 'tls { ca-file = "%s" }\nretry { wait = 1s ' \
            'max-wait = 2s }\nline "default" { }\n' % self.crt
        self.last = 0

    def host(self, script):
        self.last += 1
        return self.stage.host(f"127.0.7.{self.last}", script)

    def secret(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def relay(self, name, host, settings, tls="require"):
        tls = f'tls = "{tls}" ' if tls else ""
        self.conf += f'relay "{name}" {{ servers = {{ "smtp://' \
            f'[{host.address}]:{self.stage.port}" }} {tls}{settings} }}\n'

    def sender(self, address, relay):
        self.conf += f'sender "{address}" {{ relay = "{relay}" }}\n'

    def ready(self):
        """To be entered."""
        self.outpost.configure(self.conf)
        return self.outpost

    def send(self, sender, count=1):
        with smtplib.SMTP("127.0.0.1", self.outpost.port) as client:
            for i in range(count):
                client.sendmail(sender, f"r{i}@example.org",
                                f"From: <{sender}>\nSubject: {i}\n\nhello\n")

    def stop(self):
        if self.outpost.process:
            self.outpost.stop()
        self.stage.stop()


def expect(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def log_lines(outpost, word):
    return [line for line in outpost.log().splitlines() if word in line]


# --- every mechanism ---------------------------------------------------------

PASSWORD_OFFERS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1",
                   "SCRAM-SHA-256")
ALL = "AUTH " + " ".join((*PASSWORD_OFFERS, "GSSAPI", "XOAUTH2",
                          "OAUTHBEARER", "EXTERNAL"))


def test_mechanisms(folder):
    """Each alone; then the strongest of all. In detailed log, to look for
    secrets in it."""
    c = Case(folder, "mechanisms")
    c.conf += 'log = "detailed"\n'
    der = ssl.PEM_cert_to_DER_cert(c.crt.read_text())
    _, client_crt, client_key = make_certificate(c.folder, "client")
    secret = c.secret("odd", ODD + "\n")
    printer = c.secret("token.sh", "#!/bin/sh\necho TOKEN-$1\n", 0o755)
    wanted, hosts = {}, {}

    def add(name, offers, settings, expected, tls=None, **options):
        peer = Login({ME: ODD, "bare": ODD}, tokens=["TOKEN-ya29"],
                     certificate=der)
        hosts[name] = c.host({"offers": ("STARTTLS", *options.get("clear", ())),
                              "offers-tls": (offers,), "AUTH": peer})
        if tls:
            hosts[name].tls = tls
        c.relay(name, hosts[name], settings)
        c.sender(f"{name}@sender.example", name)
        wanted[name] = (peer, expected)

    password = f'user = "{ME}" password-file = "{secret}" '
    token = f'user = "{ME}" token-command = {{ "{printer}", "ya29" }} '
    for mechanism in PASSWORD_OFFERS:
        add(mechanism.lower(), f"AUTH {mechanism}", password,
            [(mechanism, ME, True)])
    for mechanism in ("XOAUTH2", "OAUTHBEARER"):
        add(mechanism.lower(), f"AUTH {mechanism} PLAIN", token,
            [(mechanism, ME, True)])
    add("best", ALL, password, [("SCRAM-SHA-256", ME, True)])
    add("chosen", ALL, password + 'mechanisms = { "LOGIN", "CRAM-MD5" } ',
        [("CRAM-MD5", ME, True)])
    add("bare", "AUTH=LOGIN PLAIN", password.replace(ME, "bare"),
        [("PLAIN", "bare", True)])
    add("external", ALL, f'user = "{ME}" certificate = "{client_crt}" '
        f'key = "{client_key}" ', [("EXTERNAL", ME, True)],
        tls=server_context(c.pem, client_ca=client_crt))
    add("plus", ALL + " SCRAM-SHA-256-PLUS", password,
        [("SCRAM-SHA-256-PLUS", ME, True)],
        tls=server_context(c.pem, highest=ssl.TLSVersion.TLSv1_2))
    with c.ready():
        for name in wanted:
            c.send(f"{name}@sender.example")
        c.outpost.wait_empty()
        text = c.outpost.log()
        settings = c.outpost.command("check", "-n").stdout
    for name, (peer, expected) in wanted.items():
        expect(peer.attempts == expected, name, peer.attempts, text[-3000:])
        expect(len(hosts[name].messages) == 1, name)
        expect(peer.in_clear == 0, name)
    # the binding would have been possible, had it been offered
    expect(wanted["best"][0].flags == ["y"], wanted["best"][0].flags)
    for word in (ODD, "with space", "ya29" + "\n", "TOKEN-ya29",
                 base64.b64encode(ODD.encode()).decode()[:20]):
        expect(word not in text, f"{word!r} in the log")
        expect(word not in settings, f"{word!r} in the settings")
    expect("AUTH PLAIN ****" in text and "334 ****" in text, "masked")
    c.stop()


def test_clear(folder):
    """tls = none is the operator's word: then the login goes in clear, and only
    then."""
    c = Case(folder, "clear")
    secret = c.secret("password", "swordfish")
    password = f'user = "{ME}" password-file = "{secret}" '
    peers = [Login({ME: "swordfish"}) for _ in range(3)]
    none = c.host({"offers": ("AUTH PLAIN",), "AUTH": peers[0]})
    may = c.host({"offers": ("AUTH PLAIN LOGIN CRAM-MD5",),
                  "AUTH": peers[1]})
    before = c.host({"offers": ("STARTTLS", "AUTH PLAIN"),
                     "offers-tls": ("SIZE",), "AUTH": peers[2]})
    c.relay("none", none, password, "none")
    c.relay("may", may, password, "may")
    c.relay("before", before, password)
    for name in ("none", "may", "before"):
        c.sender(f"@{name}.example", name)
    with c.ready() as outpost:
        for name in ("none", "may", "before"):
            c.send(f"me@{name}.example")
        expect(wait_until(lambda: none.messages), outpost.text())
        replies = {}

        def both():
            for r in outpost.queue():
                replies[r["sender"].partition("@")[2]] = r["reply"] or ""
            return "AUTH" in replies.get("may.example", "") and \
                "AUTH" in replies.get("before.example", "")
        expect(wait_until(both), outpost.queue())
        expect("not sent without TLS" in replies["may.example"], replies)
        expect("offers no login" in replies["before.example"], replies)
        expect("outpost reload" in replies["before.example"], replies)
        warned = log_lines(outpost, "relay-login-refused")
        expect(len(warned) == 1 and "relay=before" in warned[0], warned)
    expect(peers[0].attempts == [("PLAIN", ME, True)], peers[0].attempts)
    expect(peers[1].attempts == peers[2].attempts == [], "sent in clear")
    c.stop()


# --- refused -----------------------------------------------------------------

def test_wrong_password(folder):
    """Shown once, whatever waits; reload with the right one sends it all."""
    c = Case(folder, "wrong")
    secret = c.secret("password", "wrong one\n")
    peer, backup = Login({ME: "right one"}), Login({ME: "right one"})
    offers = ("AUTH PLAIN LOGIN SCRAM-SHA-256",)
    one = c.host({"offers": ("STARTTLS",), "offers-tls": offers, "AUTH": peer})
    two = c.host({"offers": ("STARTTLS",), "offers-tls": offers,
                  "AUTH": backup})
    c.conf += 'mode = "relay"\n'
    c.relay("default", one, f'user = "{ME}" password-file = "{secret}" ')
    c.conf = c.conf.replace(f'{one.address}]:{c.stage.port}"',
                            f'{one.address}]:{c.stage.port}", "smtp://'
                            f'[{two.address}]:{c.stage.port}"')
    with c.ready() as outpost:
        c.send("me@sender.example", 30)
        expect(wait_until(lambda: log_lines(outpost, "relay-login-refused")),
               outpost.text())
        c.send("me@sender.example", 10)
        waiting = wait_until(lambda: all(
            r["attempts"] for r in outpost.queue()) and outpost.queue())
        expect(waiting and len(waiting) == 40, outpost.queue("--limit", "3"))
        time.sleep(2.5)  # retries come and find it suspended
        expect(peer.attempts == [("SCRAM-SHA-256", ME, False)], peer.attempts)
        expect(backup.attempts == [], "the same account at the other server")
        line, = log_lines(outpost, "relay-login-refused")
        for word in ("relay=default", f"user={ME}", "AUTH SCRAM-SHA-256",
                     "535 5.7.8", f"password-file={secret}",
                     "outpost reload"):
            expect(word in line, word, line)
        last = outpost.queue()[-1]
        expect("535 5.7.8" in last["reply"] and "password-file" in
               last["reply"] and last["cause"] == "suspended", last)
        text = outpost.command("queue", "explain", last["id"]).stdout
        expect("was refused" in text and "outpost reload" in text, text)
        shown = outpost.command("status").stdout
        expect("relay suspended" in shown and "535 5.7.8" in shown, shown)
        for word in ("wrong one", "right one"):
            expect(word not in outpost.log() + shown + text, word)
        # unchanged: one more attempt
        outpost.command("reload")
        expect(wait_until(lambda: len(peer.attempts) == 2), peer.attempts)
        secret.write_text("right one\r\n")
        time.sleep(1)
        expect(len(peer.attempts) == 2, peer.attempts)
        outpost.command("reload")
        outpost.wait_empty()
        expect(all(a[2] for a in peer.attempts[2:]), peer.attempts)
        expect(len(one.messages) == 40, len(one.messages))
        expect("relay suspended" not in outpost.command("status").stdout)
    c.stop()


def test_bad_files(folder):
    """A login that cannot be read: said by check, refused by reload, and the
    rest of the mail goes on."""
    c = Case(folder, "files")
    peer = Login({ME: "swordfish"})
    host = c.host({"offers": ("STARTTLS",), "offers-tls": ("AUTH PLAIN",),
                   "AUTH": peer})
    plain = c.host({})
    secret = c.secret("password", "swordfish", 0o644)
    c.relay("isp", host, f'user = "{ME}" password-file = "{secret}" ')
    c.relay("other", plain, "", "none")
    c.sender("@isp.example", "isp")
    c.sender("@other.example", "other")
    c.outpost.configure(c.conf)
    done = c.outpost.command("check", check=False)
    expect(done.returncode == 78 and "others can read it" in done.stderr and
           ":" in done.stderr, done)
    with c.ready() as outpost:
        c.send("a@isp.example")
        c.send("a@other.example")
        expect(wait_until(lambda: plain.messages), outpost.text())
        row = wait_until(lambda: [r for r in outpost.queue() if r["reply"]])
        expect(row and "others can read it; chmod 600" in row[0]["reply"],
               outpost.queue())
        line, = log_lines(outpost, "login-not-read")
        expect("relay=isp" in line and "outpost reload" in line, line)
        done = outpost.command("reload", check=False)
        expect(done.returncode == 1 and "others can read it" in
               done.stderr, done)
        os.chmod(secret, 0o600)
        outpost.command("reload")
        outpost.wait_empty()
        expect(peer.attempts == [("PLAIN", ME, True)], peer.attempts)
    c.stop()


def test_tokens(folder):
    """A refused token is replaced once; then the relay rests."""
    c = Case(folder, "tokens")
    count = c.folder / "count"
    count.mkdir(mode=0o777)
    os.chmod(count, 0o777)
    printer = c.secret(
        "token.sh", f'#!/bin/sh\nn=$(ls {count} | wc -l)\n'
        f': >{count}/$1-$n-$$\necho "T$(ls {count} | grep -c "^$1-")-$1"\n'
        'echo second line\n', 0o755)
    os.chmod(c.folder, 0o755)
    peers, hosts = {}, {}
    for name, tokens in (("stale", ["T2-stale"]), ("never", [])):
        peers[name] = Login({}, tokens=tokens)
        hosts[name] = c.host({"offers": ("STARTTLS",), "offers-tls":
                              ("AUTH XOAUTH2",), "AUTH": peers[name]})
        c.relay(name, hosts[name], f'user = "{ME}" token-command = '
                f'{{ "{printer}", "{name}" }} ')
        c.sender(f"@{name}.example", name)
    broken = c.secret("broken.sh", "#!/bin/sh\necho no key ring >&2\nexit 3\n",
                      0o755)
    lost = c.host({})
    c.relay("broken", lost, f'user = "{ME}" token-command = {{ "{broken}" }} ')
    c.sender("@broken.example", "broken")
    with c.ready() as outpost:
        for name in ("stale", "never", "broken"):
            c.send(f"me@{name}.example", 3)
        expect(wait_until(lambda: len(hosts["stale"].messages) == 3),
               outpost.text())
        expect(wait_until(lambda: log_lines(outpost, "relay-login-refused")),
               outpost.text())
        time.sleep(1.5)
        first, *others = peers["stale"].attempts
        expect(first == ("XOAUTH2", ME, False) and
               all(a[2] for a in others), peers["stale"].attempts)
        expect(len(peers["never"].attempts) == 2, peers["never"].attempts)
        line, = log_lines(outpost, "relay-login-refused")
        expect("relay=never" in line and "status 401" in line and
               "token-command" in line, line)
        reply = [r["reply"] for r in outpost.queue()
                 if r["sender"] == "me@broken.example"]
        expect(all("ended with status 3: no key ring" in (r or "")
                   for r in reply), reply)
        expect(lost.connections == [], "without a token")
    c.stop()


# --- servers that misbehave --------------------------------------------------

def loops(c, _):
    for _ in range(1000):
        c.say("334 VXNlcm5hbWU6")
        c.commands.append(c.line())


def garbage(c, _):
    c.say("334 !!!! this is not base64 ====")
    line = c.line()
    c.commands.append(line)
    c.say("501 5.0.0 cancelled" if line == "*" else "235 2.7.0 come in")


def drops(c, _):
    c.say(Answer("334 VXNlcm5hbWU6", then=CLOSE))


def endless(c, _):
    c.sock.sendall(b"334 " + b"QUJD" * 100000 + b"\r\n")
    c.line()


def unproven(c, rest):
    c.say(Answer("235 2.7.0 yes, whoever you are"))


def wants_more(c, _):
    c.say("534 5.7.9 application-specific password required")


def no_mechanism(peer):
    """Offered, but not done: the next one is to be tried."""
    def auth(c, rest):
        if rest.startswith("PLAIN"):
            peer(c, rest)
        else:
            c.say("504 5.5.4 unrecognised mechanism")
    return auth


def test_misbehaviour(folder):
    c = Case(folder, "bad")
    secret = c.secret("password", "swordfish")
    peer = Login({ME: "swordfish"})
    cases = {
        "loops": ("LOGIN", loops, "AUTH"),
        "garbage": ("CRAM-MD5", garbage, "not base64"),
        "drops": ("LOGIN", drops, "AUTH"),
        "endless": ("CRAM-MD5", endless, "AUTH"),
        "unproven": ("SCRAM-SHA-1", unproven, "did not prove"),
        "more": ("PLAIN LOGIN", wants_more, "534 5.7.9"),
        "temporary": ("PLAIN", "454 4.7.0 later", "454 4.7.0"),
        "next": ("SCRAM-SHA-256 CRAM-MD5 PLAIN", no_mechanism(peer), None),
        "unknown": ("GSSAPI NTLM", "500 5.5.1 what", "GSSAPI NTLM"),
        "missing": ("", "500 5.5.1 what", "AUTH"),
        "echo": ("PLAIN", "535 5.7.8 your password swordfish is bad",
                 "repeats our secret"),
    }
    hosts = {}
    for name, (offers, auth, _) in cases.items():
        hosts[name] = c.host({
            "offers": ("STARTTLS",), "AUTH": auth,
            "offers-tls": (f"AUTH {offers}",) if offers else ("SIZE",)})
        c.relay(name, hosts[name],
                f'user = "{ME}" password-file = "{secret}" ')
        c.sender(f"@{name}.example", name)
    c.conf = 'log = "detailed"\n' + c.conf
    with c.ready() as outpost:
        for name in cases:
            c.send(f"me@{name}.example")
        rows = {}

        def all_tried():
            for r in outpost.queue():
                if r["reply"]:
                    rows[r["sender"][3:-8]] = r["reply"]
            return len(rows) == len(cases) - 1
        expect(wait_until(all_tried), rows)
        for name, (_, _, word) in cases.items():
            if word:
                expect(word in rows[name], name, rows[name])
                expect(not hosts[name].messages, name)
        expect(len(hosts["next"].messages) == 1, "next")
        expect(peer.attempts == [("PLAIN", ME, True)], peer.attempts)
        # bounded, ended with "*", and the password not shown twice
        answers = [w for w in hosts["loops"].commands() if w]
        expect(len(answers) < 15, answers)
        auths = [w for w in hosts["more"].commands() if w.startswith("AUTH")]
        expect(len(auths) == 1, auths)
        expect(hosts["garbage"].commands().count("*") == 1,
               hosts["garbage"].commands())
        expect("swordfish" not in outpost.log() + json.dumps(rows), "leak")
    # nor in what is kept: records, transcripts, settings
    plain = base64.b64encode(f"\0{ME}\0swordfish".encode())
    for path in (c.outpost.folder).rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            expect(b"swordfish" not in data and plain not in data, path)
    c.stop()


def test_per_sender(folder):
    """Two accounts at one server never mix, also when it drops us between
    messages."""
    c = Case(folder, "senders")
    users = {"a@relay.example": "password a", "b@relay.example": "password b"}
    peer = Login(users)
    wrong = []

    class Watch(Login):
        def __call__(self, connection, rest):
            peer(connection, rest)

    shut = ["250 2.0.0 taken", Answer("421 4.3.2 enough", then=CLOSE)] * 10 + \
        ["250 2.0.0 taken"]
    host = c.host({"offers": ("STARTTLS",), "offers-tls":
                   ("PIPELINING", "AUTH PLAIN"), "AUTH": Watch({}),
                   "end": shut})
    for letter in "ab":
        secret = c.secret(letter, f"password {letter}\n")
        c.relay(letter, host, f'user = "{letter}@relay.example" '
                f'password-file = "{secret}" ')
        c.sender(f"@{letter}.example", letter)
    with c.ready() as outpost:
        for _ in range(5):
            c.send("me@a.example", 3)
            c.send("me@b.example", 3)
        outpost.wait_empty()
    for connection in host.connections:
        for message in connection.messages:
            letter = message.mail.partition("@")[2][0]
            if connection.user != f"{letter}@relay.example":
                wrong.append((message.mail, connection.user))
    expect(not wrong, wrong)
    expect(len(host.messages) == 30, len(host.messages))
    c.stop()


def test_verified(folder):
    """Without a word on tls the server of a login must be the right one."""
    c = Case(folder, "verified")
    secret = c.secret("password", "swordfish")
    peer, other = Login({ME: "swordfish"}), Login({ME: "swordfish"})
    script = {"offers": ("STARTTLS",), "offers-tls": ("AUTH PLAIN",)}
    good = c.stage.host("127.0.0.1", {**script, "AUTH": peer})
    bad = c.host({**script, "AUTH": other})
    password = f'user = "{ME}" password-file = "{secret}" '
    c.conf += f'relay "good" {{ servers = {{ "smtp://localhost:' \
        f'{c.stage.port}" }} {password} }}\n'
    c.relay("bad", bad, password, None)
    c.sender("@good.example", "good")
    c.sender("@bad.example", "bad")
    with c.ready() as outpost:
        c.send("me@bad.example")
        c.send("me@good.example")
        expect(wait_until(lambda: good.messages), outpost.text())
        row = wait_until(lambda: [r for r in outpost.queue() if r["reply"]])
        expect(row and "4.7." in row[0]["status"], outpost.queue())
    expect(peer.attempts == [("PLAIN", ME, True)], peer.attempts)
    expect(other.attempts == [], "to a server of another name")
    c.stop()


# --- a real server -----------------------------------------------------------

def test_dovecot(folder):
    """Each mechanism of Dovecot's; its refusal of a password and of a token."""
    reason = dovecot.why_not()
    if reason:
        print(f"dovecot          skipped: {reason}")
        return
    c = Case(folder, "dovecot")
    secret, wrong = c.secret("password", ODD), c.secret("wrong", "nonsense")
    show = c.secret("show.sh", "#!/bin/sh\ncat $1\n", 0o755)
    good = c.secret("good", dovecot.token(ME) + "\n", 0o644)
    stale = c.secret("stale", dovecot.token(ME, -60), 0o644)
    port = free_port()
    password = f'user = "{ME}" password-file = "{secret}" '
    token = f'user = "{ME}" token-command = {{ "{show}", "%s" }} '
    relays = {m.lower(): password + f'mechanisms = {{ "{m}" }}'
              for m in PASSWORD_OFFERS}
    relays |= {m.lower(): token % good + f'mechanisms = {{ "{m}" }}'
               for m in ("XOAUTH2", "OAUTHBEARER")}
    relays["any"] = password
    refused = {"wrong": password.replace(str(secret), str(wrong)),
               "stale-x": token % stale + 'mechanisms = { "XOAUTH2" }',
               "stale-b": token % stale + 'mechanisms = { "OAUTHBEARER" }'}
    for name, settings in (relays | refused).items():
        c.conf += f'relay "{name}" {{ servers = {{ "submission://' \
            f'localhost:{port}" }} {settings} }}\n'
        c.sender(f"@{name}.example", name)
    with Sink(c.folder / "sink") as sink, dovecot.Dovecot(
            c.folder / "dovecot", port, sink.port, {ME: ODD}, c.pem) as server:
        with c.ready() as outpost:
            for name in relays | refused:
                c.send(f"me@{name}.example")
            # Dovecot takes 5 seconds over a bad token, and will be asked twice
            if not wait_until(lambda: len(sink.messages()) == len(relays) and
                              log_lines(outpost, "relay-login-refused") and
                              len(log_lines(outpost, "relay-token-refused"))
                              == 2):
                raise AssertionError(outpost.text() + server.log())
            left = {r["sender"][3:-8]: r["reply"] for r in outpost.queue()}
            lines = log_lines(outpost, "relay-token-refused")
            server.stop()  # no line waits for it when all ends
        expect(set(left) == set(refused), left)
        expect("535 5.7.8" in left["wrong"] and
               "AUTH SCRAM-SHA-256" in left["wrong"], left)
        expect(all("535" in line and "status" in line for line in lines),
               lines)
    c.stop()


def main():
    wanted = sys.argv[1:]
    with Folder() as folder:
        for name, test in list(globals().items()):
            if not name.startswith("test_") or \
                    (wanted and name not in wanted):
                continue
            began = time.monotonic()
            test(folder)
            print(f"{name[5:]:16} ok {time.monotonic() - began:.1f} s",
                  flush=True)


if __name__ == "__main__":
    main()
