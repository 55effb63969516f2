"""Reports about TLS (RFC 8460), all programs together: sessions that succeed
and fail by DANE, by MTA-STS and without a policy are counted by domain; `tlsrpt
show` says so; on the next day (a clock that is ahead) reports arrive by mail,
though the way there fails its policy, and by POST at a web server; each once.
"""
import base64
import datetime
import email
import gzip
import http.server
import json
import os
import re
import ssl
import subprocess
import tempfile
import threading
import time

import test_policy_mail as mail
from certificates import Authority
from dns import Nsd, Signer, Unbound, need
from outpost import BUILD, REPO, Folder, Instance, wait_until
from scripted import OFFERS, Stage

ZONE = mail.ZONE
DAY = 86400
SECTION_4_3 = {
    "starttls-not-supported", "certificate-host-mismatch",
    "certificate-expired", "certificate-not-trusted", "validation-failure",
    "tlsa-invalid", "dnssec-invalid", "dane-required",
    "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"}
# name: policy-type, successful, failed, result-type
COUNTED = {
    "plain": ("no-policy-found", 0, 1, "starttls-not-supported"),
    "opportunistic": ("no-policy-found", 1, 0, None),
    "dane-key": ("tlsa", 1, 0, None),
    "dane-ca": ("tlsa", 1, 0, None),
    "dane-ca-name": ("tlsa", 0, 1, "certificate-host-mismatch"),
    "dane-wrong": ("tlsa", 0, 1, "certificate-not-trusted"),
    "dane-no-tls": ("tlsa", 0, 1, "starttls-not-supported"),
    "dane-forged": ("tlsa", 0, 1, "dnssec-invalid"),
    "sts": ("sts", 1, 0, None),
    "sts-name": ("sts", 0, 1, "certificate-host-mismatch"),
    "sts-self": ("sts", 0, 1, "certificate-not-trusted"),
    "sts-no-tls": ("sts", 0, 1, "starttls-not-supported"),
    "sts-testing": ("sts", 0, 1, "certificate-host-mismatch"),
    "sts-unlisted": ("sts", 0, 1, "validation-failure"),
    "dane-not-sts": ("tlsa", 1, 0, None),
    "sts-not-dane": ("tlsa", 0, 1, "certificate-not-trusted"),
}
# Who wants a report, and where.
RECORDS = {
    "sts-name": '"v=TLSRPTv1; rua=mailto:r%61@reports.{zone}"',
    "dane-key": '"v=TLSRPTv1;" "rua=https://rua.{zone}:{port}/in?x=1"',
    "sts-testing": '"v=TLSRPTv1; rua=https://rua.{zone}:{port}/in,'
                   'mailto:b@reports.{zone},ftp://x/"',
    "dane-wrong": '"v=TLSRPTv1; rua=https://rua.{zone}:{port}/refused"',
    "sts": '"v=TLSRPTv2; rua=mailto:no@reports.{zone}"',
}
MAILED = {f"sts-name.{ZONE}": f"ra@reports.{ZONE}",
          f"sts-testing.{ZONE}": f"b@reports.{ZONE}"}
POSTED = {f"dane-key.{ZONE}": "/in?x=1", f"sts-testing.{ZONE}": "/in"}


class Web(mail.Policies):
    """Policies, and the place that takes reports."""
    posts = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append((self.path, self.headers, body))
        self.send_response(500 if self.path == "/refused" else 201)
        self.end_headers()


def web(pem):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=[0.05],
                     daemon=True).start()
    return server


def has(value, *kinds):
    assert isinstance(value, kinds) and value not in ("", []), value
    return value


def check_report(report, domain, day):
    """Every field of RFC 8460 section 4.4, and none that it does not know."""
    assert set(report) == {"organization-name", "date-range", "contact-info",
                           "report-id", "policies"}, report
    has(report["organization-name"], str)
    assert report["contact-info"] == "postmaster@test.outpost.example"
    assert "@" in has(report["report-id"], str)
    assert report["date-range"] == {
        "start-datetime": f"{day}T00:00:00Z",
        "end-datetime": f"{day}T23:59:59Z"}, report
    name = domain.split(".")[0]
    kind, good, bad, result = COUNTED[name]
    assert len(report["policies"]) == 1, report
    one = report["policies"][0]
    policy = one["policy"]
    assert policy["policy-type"] == kind, (name, one)
    assert set(policy) <= {"policy-type", "policy-string", "policy-domain",
                           "mx-host"}
    if kind == "sts":
        assert policy["policy-domain"] == domain
        assert policy["policy-string"][0] == "version: STSv1", policy
        assert any(s.startswith("mode: ") for s in policy["policy-string"])
        host = "x.example" if name == "sts-unlisted" else f"mx-{name}.{ZONE}"
        assert policy["mx-host"] == [host], policy
    elif kind == "tlsa":
        assert policy["policy-domain"] == f"mx-{name}.{ZONE}", policy
        if result != "dnssec-invalid":
            assert re.fullmatch(r"[23] [01] 1 [0-9A-F]{64}",
                                policy["policy-string"][0]), policy
    else:
        assert policy["policy-domain"] == domain
        assert "policy-string" not in policy
    summary = one["summary"]
    assert summary == {"total-successful-session-count": good,
                       "total-failure-session-count": bad}, (name, one)
    if not bad:
        assert "failure-details" not in one
        return
    detail, = one["failure-details"]
    assert detail["result-type"] == result and result in SECTION_4_3, one
    assert detail["failed-session-count"] == bad
    assert detail["receiving-mx-hostname"] == f"mx-{name}.{ZONE}", detail
    assert set(detail) <= {
        "result-type", "sending-mta-ip", "receiving-mx-hostname",
        "receiving-mx-helo", "receiving-ip", "failed-session-count",
        "additional-information", "failure-reason-code"}, detail
    if result not in ("dnssec-invalid",) and name != "sts-unlisted":
        assert detail["sending-mta-ip"].startswith("127."), detail
        assert detail["receiving-ip"].startswith("127.0.63."), detail


def show(outpost, *words):
    return {r["policies"][0]["policy"]["policy-domain"]
            if r["policies"][0]["policy"]["policy-type"] != "tlsa" else
            r["policies"][0]["policy"]["policy-domain"][3:]: r
            for r in outpost.json("tlsrpt", "show", *words)}


def count(outpost):
    """Mail to all; what was counted of it."""
    done = outpost.sendmail("Subject: x\n\nhello\n", "-f", "me@own.example",
                            *(f"a@{name}.{ZONE}" for name in COUNTED))
    assert done.returncode == 0, done
    found = wait_until(lambda: (lambda s: s if len(s) == len(COUNTED)
                                else None)(show(outpost)), 25, 0.3)
    assert found, (show(outpost).keys(), outpost.text())
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    for name in COUNTED:
        report = found[f"{name}.{ZONE}"]
        check_report(report, f"{name}.{ZONE}", day)
        print(f"ok   {name:14} {COUNTED[name]}", flush=True)
    return day


def look(outpost, day):
    """The words, one domain, other days; who may."""
    text = outpost.command("tlsrpt", "show").stdout
    assert f"sts-name.{ZONE}: 0 sessions with TLS as it should be, 1" in text
    assert "certificate-host-mismatch" in text, text
    one = outpost.command("tlsrpt", "show", "--day", day, "--domain",
                          f"DANE-KEY.{ZONE}").stdout
    assert one.splitlines()[0].startswith(f"dane-key.{ZONE}: 1 "), one
    assert len(one.splitlines()) == 2, one
    assert "no session" in outpost.command("tlsrpt", "show", "--day",
                                           "2001-02-03").stdout
    for words in (["show", "--day", "2001-02-30"], ["send"], ["x"],
                  ["show", "--day", "soon"]):
        assert outpost.command("tlsrpt", *words, check=False).returncode == 2
    early = outpost.command("tlsrpt", "send", "--day", day, check=False)
    assert early.returncode == 1 and "not over" in early.stderr, early
    dry = {o["domain"].split(".")[0]: o for o in
           outpost.json("tlsrpt", "send", "--day", day, "--dry-run")}
    assert dry.keys() == COUNTED.keys(), dry
    wanted = [n for n, o in dry.items() if o["result"] == "would be sent"]
    assert set(wanted) == set(RECORDS) - {"sts"}, dry
    assert dry["sts-name"]["places"] == [f"mailto:ra@reports.{ZONE}"]
    assert dry["sts"]["result"] == "not wanted", dry["sts"]
    assert len(dry["sts-testing"]["places"]) == 2, dry["sts-testing"]
    assert not Web.posts


def clock(folder):
    """The shared object that puts the wall clock ahead of the programs."""
    path = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path,
                    REPO / "tests" / "system" / "clock.c"], check=True)
    # past the four hours in which each domain has its moment
    ahead = DAY - int(time.time()) % DAY + 4 * 3600 + 60
    return {"LD_PRELOAD": str(path), "CLOCK_AHEAD_S": str(ahead)}


def mails(host):
    return [m for c in list(host.connections) for m in list(c.messages)]


def check_mail(message, day):
    parsed = email.message_from_bytes(bytes(message.content))
    domain = parsed["TLS-Report-Domain"]
    assert MAILED[domain] == message.rcpts[0], (domain, message.rcpts)
    assert parsed["TLS-Report-Submitter"] == "test.outpost.example"
    subject = " ".join(parsed["Subject"].split())
    assert re.fullmatch(rf"Report Domain: {re.escape(domain)} Submitter: "
                        r"test\.outpost\.example Report-ID: <[^<>@]+@[^<>@]+>",
                        subject), subject
    assert parsed["TLS-Required"] == "No"
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "tlsrpt"
    words, report = parsed.get_payload()
    assert words.get_content_type() == "text/plain"
    assert report.get_content_type() == "application/tlsrpt+gzip"
    start = int(datetime.datetime.fromisoformat(
        day + "T00:00:00+00:00").timestamp())
    assert report.get_filename() == (f"test.outpost.example!{domain}!{start}!"
                                     f"{start + DAY - 1}!1.json.gz")
    content = json.loads(gzip.decompress(report.get_payload(decode=True)))
    check_report(content, domain, day)
    assert f"<{content['report-id']}>" in subject
    return domain


def report(outpost, stage_host, day, ahead):
    """The next day: what is wanted arrives, once."""
    env = {k: os.environ.get(k) for k in ahead}
    os.environ.update(ahead)
    try:
        with outpost:
            assert wait_until(lambda: len(mails(stage_host)) >= len(MAILED)
                              and len(Web.posts) >= len(POSTED) + 1, 20), \
                (Web.posts, outpost.text())
            states = wait_until(lambda: done(outpost, day), 10)
            assert states, outpost.text()
            outpost.stop()
        with outpost:  # programs that begin anew know what was sent
            kept_back(outpost)
            time.sleep(2)
            outpost.stop()
    finally:
        for k, v in env.items():
            os.environ.pop(k) if v is None else os.environ.update({k: v})
    seen = [check_mail(m, day) for m in mails(stage_host)]
    assert sorted(seen) == sorted(MAILED), seen
    posts = {}
    refused = 0
    for path, headers, body in Web.posts:
        assert headers["Content-Type"] == "application/tlsrpt+gzip"
        content = json.loads(gzip.decompress(body))
        name = content["policies"][0]["policy"]["policy-domain"]
        if path == "/refused":
            refused += 1
            continue
        domain = name[3:] if name.startswith("mx-") else name
        assert domain not in posts, "sent twice"
        posts[domain] = path
        check_report(content, domain, day)
    assert posts == POSTED and refused == 1, (posts, refused)
    log = outpost.log()
    assert "tlsrpt-not-sent" in log and "HTTP status 500" in log, log
    assert "sandbox-denied" not in log
    assert all(c.is_tls for c in stage_host.connections if c.messages)


def kept_back(outpost):
    """Other mail to where reports go waits for TLS as it should be."""
    outpost.sendmail("Subject: x\n\nhello\n", "-f", "me@own.example",
                     f"ra@reports.{ZONE}")
    item = wait_until(lambda: [i for i in outpost.queue("--recipient",
                                                        f"ra@reports.{ZONE}")
                               if i["attempts"]], 10)
    assert item and item[0]["status"] == "4.7.5", (item, outpost.text())


def done(outpost, day):
    text = outpost.command("tlsrpt", "show", "--day", day).stdout
    return len(re.findall(", reported$", text, re.M)) == 3 and \
        ", no report wanted" in text


def main():
    need()
    while time.time() % DAY > DAY - 40:  # all in one day
        time.sleep(1)
    with Folder() as folder:
        ca, stage = Authority(folder), Stage()
        hosts, zones = mail.make(stage, ca)
        # where reports go: DANE that its server does not fulfil
        sink = stage.host("127.0.63.99", {"offers": (*OFFERS, "STARTTLS")})
        sink.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        sink.tls.load_cert_chain(ca.issue("other.example", self_signed=True))
        names = [f"mta-sts.{n}.{ZONE}" for n in mail.CASES]
        server = web(ca.issue(*names, f"rua.{ZONE}"))
        zones[ZONE] += (f"reports IN MX 10 mx-reports\nmx-reports IN A "
                        f"{sink.address}\nrua IN A 127.0.0.1\n"
                        f"_{stage.port}._tcp.mx-reports IN TLSA 3 1 1 "
                        + "cd" * 32 + "\n")
        for name, record in RECORDS.items():
            zones[ZONE] += f"_smtp._tls.{name} IN TXT " + record.format(
                zone=ZONE, port=server.server_port) + "\n"
        signer = Signer(tempfile.mkdtemp(dir=folder))
        nsd = Nsd(folder, zones, signer, [ZONE])
        unbound = Unbound(folder, zones, nsd.port, anchors=signer.anchors)
        conf = (f'resolvers = {{ "127.0.0.1:{unbound.port}" }}\n'
                f'port = {stage.port}\nallow-local-mx = on\n'
                'retry { wait = 2h }\n'
                f'tls {{ ca-file = "{ca.file}"  mta-sts-port = '
                f'{server.server_port}  tlsrpt = SWITCH }}\n')
        try:
            outpost = Instance(folder / "o", conf.replace("SWITCH", "off"))
            with outpost:
                day = count(outpost)
                look(outpost, day)
                outpost.stop()
            outpost.configure(conf.replace("SWITCH", "on"))
            report(outpost, sink, day, clock(folder))
        finally:
            unbound.stop()
            nsd.stop()
            server.shutdown()
            server.server_close()


main()
