"""Mail that waits by its sender's wish or the configuration's: hold, release,
retract, FUTURERELEASE, DELIVERBY, --expire; and who may write to whom."""
import smtplib
import subprocess
import sys
import time

from outpost import BIN, Folder, Instance, Sink, wait_until

CONF = '''
mode = "relay"
relay "default" {{ servers = {{ "smtp://127.0.0.1:{port}" }} }}
retry {{ lifetime = 1d }}
sender "@news.example" {{ hold = 1h }}
restrict "all@team.example" {{ allow = {{ "boss@team.example", "uid:4242" }} }}
restrict "@secret.example" {{ allow = {{ "@team.example" }} }}
'''


def send(outpost, sender, to, *mail):
    with smtplib.SMTP("127.0.0.1", outpost.port, timeout=20) as client:
        client.ehlo()
        code, answer = client.mail(sender, list(mail))
        if code != 250:
            return code, answer.decode()
        code, answer = client.rcpt(to)
        if code != 250:
            return code, answer.decode()
        code, answer = client.data(f"From: {sender}\r\nTo: {to}\r\n\r\nx\r\n")
        return code, answer.decode()


def item(outpost, to):
    return next((i for i in outpost.queue() if i["recipient"] == to), None)


def seconds_of(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) \
        - time.timezone


def check_held(outpost, sink):
    now = time.time()
    assert send(outpost, "a@news.example", "by-conf@x.example")[0] == 250
    assert send(outpost, "a@x.example", "for@x.example",
                "HOLDFOR=7200")[0] == 250
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 10800))
    assert send(outpost, "a@x.example", "until@x.example",
                f"HOLDUNTIL={until}")[0] == 250
    outpost.sendmail("Subject: x\n\nx\n", "--hold", "4h", "cli@x.example")
    for to, hours in (("by-conf@x.example", 1), ("for@x.example", 2),
                      ("until@x.example", 3), ("cli@x.example", 4)):
        i = item(outpost, to)
        assert i and i["state"] == "held", (to, i)
        assert abs(seconds_of(i["next_try"]) - now - 3600 * hours) < 60, i
        # a hold does not eat up the lifetime
        assert abs(seconds_of(i["expires"]) - now - 3600 * hours
                   - 86400) < 60, i
    assert send(outpost, "a@x.example", "far@x.example",
                "HOLDUNTIL=2124-01-01T00:00:00Z")[0] == 501
    assert sink.messages() == []


def check_taken_back(outpost, sink):
    taken = item(outpost, "for@x.example")["id"]
    outpost.command("queue", "retract", taken)
    assert item(outpost, "for@x.example") is None
    outpost.command("queue", "release", item(outpost, "cli@x.example")["id"])
    sink.wait(1, 20)
    again = outpost.command("queue", "retract", taken, check=False)
    assert again.returncode == 1, again
    assert len(sink.messages()) == 1


def check_expiry(outpost):
    now = time.time()
    outpost.command("outbound", "off")
    assert send(outpost, "a@x.example", "by@x.example", "BY=7200;R")[0] == 250
    outpost.sendmail("Subject: x\n\nx\n", "--expire=3h", "expire@x.example")
    for to, hours in (("by@x.example", 2), ("expire@x.example", 3)):
        i = item(outpost, to)
        assert abs(seconds_of(i["expires"]) - now - 3600 * hours) < 60, i
    outpost.command("outbound", "on")


def check_restricted(outpost):
    code, why = send(outpost, "a@x.example", "all@team.example")
    assert code == 550 and "5.7.1" in why and "restrict" in why, (code, why)
    assert send(outpost, "boss@team.example", "All@Team.example")[0] == 250
    assert send(outpost, "a@x.example", "who@secret.example")[0] == 550
    assert send(outpost, "a@team.example", "who@secret.example")[0] == 250
    refused = subprocess.run(
        [BIN / "sendmail", "-c", outpost.conf, "-f", "a@x.example",
         "all@team.example"], input=b"x\n", capture_output=True, check=False)
    assert refused.returncode == 77 or refused.returncode == 69, refused
    assert b"restrict" in refused.stderr, refused


def main():
    with Folder() as folder, Sink(folder / "sink") as sink, \
            Instance(folder / "o", CONF.format(port=sink.port)) as outpost:
        for check in (check_held, check_taken_back):
            check(outpost, sink)
            print(check.__name__)
        for check in (check_expiry, check_restricted):
            check(outpost)
            print(check.__name__)
        assert wait_until(lambda: len(sink.messages()) == 5, 20), \
            len(sink.messages())
    print("hold: all is well")


if __name__ == "__main__":
    sys.exit(main())
