"""Reply rules and what is kept of refusals: built-in and configured rules
against scripted servers; outpost replies test; transcripts; the log of one
destination in detail."""
import base64
import json
import subprocess
import sys
import time

from outpost import BIN, Folder, Instance, wait_until
from scripted import CLOSE, Answer, Stage

SECRET = "open-sesame-2026"


class World:
    """One Outpost; a domain is a route to its hosts."""

    def __init__(self, folder, stage):
        self.folder, self.stage = folder, stage
        self.hosts, self.routes, self.number = {}, "", 0

    def domain(self, name, *scripts):
        """Hosts of that domain, in order."""
        servers = []
        for script in scripts:
            self.number += 1
            address = f"127.0.47.{self.number}"
            self.hosts.setdefault(name, []).append(
                self.stage.host(address, script))
            servers.append(f'"smtp://{address}:{self.stage.port}"')
        self.routes += f'route "{name}" {{ servers = {{ ' \
            f'{", ".join(servers)} }} }}\n'
        return self.hosts[name]


def send(outpost, domain, local="a"):
    done = outpost.sendmail("Subject: x\n\nhello\n", "-f", "me@sender.example",
                            f"{local}@{domain}")
    assert done.returncode == 0, done.stderr


def item(outpost, domain, **wanted):
    """The queue's item for the domain, once it looks as wanted."""
    def look():
        for found in outpost.queue("--destination", domain):
            if found["attempts"] > 0 and found["state"] != "active" and all(
                    found[k] == v for k, v in wanted.items()):
                return found
        return None
    found = wait_until(look, 15)
    assert found, f"{domain}: {outpost.queue()}\n{outpost.text()}"
    return found


def seconds_until(stamp):
    return time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")) - \
        time.timezone - time.time()


def wait_delivered(host, count=1):
    assert wait_until(lambda: len(host.messages) >= count, 15), \
        f"{len(host.messages)} messages: {host.commands()}"


def explained(outpost, found):
    return outpost.command("queue", "explain", found["id"]).stdout


# --- rules -------------------------------------------------------------------

def greylisted(world, outpost):
    """Known without a setting: tried again after its five minutes."""
    send(outpost, "grey.example")
    found = item(outpost, "grey.example", state="deferred", cause="retry")
    left = seconds_until(found["next_try"])
    assert 240 < left < 340, f"in {left} s"
    text = explained(outpost, found)
    assert "built-in reply rule greylist:" in text, text
    outpost.command("queue", "retry", found["id"])
    wait_delivered(world.hosts["grey.example"][0])


def bounced(world, outpost):
    """4xx made final for one domain, in words that name the rule; the same
    words elsewhere are what they are."""
    del world
    send(outpost, "final.example")
    send(outpost, "notfinal.example")
    report = wait_until(lambda: next(
        (m for m in outpost.reports.messages
         if b"final.example" in m.content), None), 15)
    assert report, outpost.text()
    assert b"450 4.7.1 no thanks (final by reply rule outpost.conf:" in \
        report.content.replace(b"\r\n ", b" "), report.content
    assert b"Status: 5.7.1" in report.content
    item(outpost, "notfinal.example", state="deferred", status="4.7.1")
    assert wait_until(
        lambda: not outpost.queue("--destination", "final.example"), 10)


def next_host(world, outpost):
    """Sent on to the second host with only what the first refused."""
    send(outpost, "two.example")
    first, second = world.hosts["two.example"]
    wait_delivered(second)
    assert not first.messages
    assert wait_until(
        lambda: not outpost.queue("--destination", "two.example"), 10)


def suspended(world, outpost):
    """A 5xx that suspends: nothing bounces, nothing more is tried, no attempt
    is used up by waiting."""
    host = world.hosts["listed.example"][0]
    send(outpost, "listed.example")
    found = item(outpost, "listed.example", cause="suspended")
    assert 400 < seconds_until(found["next_try"]) < 700, found
    assert found["reply"].startswith("554 5.7.1 Client host"), found
    assert "reply rule outpost.conf:" in explained(outpost, found)
    before = len(host.connections)
    for i in range(5):
        send(outpost, "listed.example", f"b{i}")
    assert wait_until(lambda: len(outpost.queue(
        "--destination", "listed.example")) == 6, 10)
    time.sleep(0.5)
    assert len(host.connections) == before, host.commands()
    host.script["MAIL"] = "250 2.1.0 fine"
    time.sleep(5)  # an operator's retry looks no sooner
    outpost.command("queue", "retry", "--destination", "listed.example",
                    "--yes")
    wait_delivered(host, 6)


def relayed(world, outpost):
    """Refused: the rest of its tries go by the relay, and stay there when the
    relay is busy first."""
    send(outpost, "refused.example")
    wait_until(lambda: world.hosts["relay"][0].connections, 15)
    found = item(outpost, "refused.example", reply="451 4.3.0 relay is busy")
    attempts = outpost.json("queue", "show", found["id"])[0]["attempts"]
    assert attempts[0]["relay"] == attempts[1]["relay"] == "isp", attempts
    assert attempts[0]["rule"].startswith("outpost.conf:"), attempts
    outpost.command("queue", "retry", found["id"])
    wait_delivered(world.hosts["relay"][0])
    assert len(world.hosts["refused.example"][0].connections) == 1


def tested(world, outpost):
    """What changed rules would make of the replies that were kept."""
    del world
    before = outpost.json("replies", "list")
    kept = {x["destination"]: x for x in before}
    assert kept["grey.example"]["verdict"]["rule"] == "greylist", kept
    assert kept["listed.example"]["verdict"]["action"] == "suspend", kept
    assert kept["grey.example"]["stage"] == "RCPT", kept
    assert outpost.json("replies", "test") == []
    changed = outpost.folder / "changed.conf"
    changed.write_text(outpost.conf.read_text().replace(
        'reply "Client host"', 'reply "Client Host"').replace(
            "# changed:", ""))
    out = subprocess.run(
        [BIN / "outpost", "replies", "test", "--json", "-c", changed],
        stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    assert {r["destination"] for r in rows} == {"grey.example"}, rows
    assert rows[0]["old"]["action"] == "retry"
    assert rows[0]["new"] == {"action": "bounce", "after_seconds": None,
                              "rule": rows[0]["new"]["rule"]}, rows
    assert rows[0]["new"]["rule"].startswith("changed.conf:")


# --- transcripts and the log ---------------------------------------------------

def transcript(world, outpost):
    """Shown with every command and reply, control characters escaped; what was
    delivered in good order leaves none; a login's secret is masked."""
    del world
    send(outpost, "words.example")
    found = item(outpost, "words.example", status="4.3.2")

    def session():
        done = outpost.command("queue", "show", found["id"], "--session",
                               check=False)
        return done.stdout if "QUIT" in done.stdout else ""
    text = wait_until(session, 15)
    for words in ("> EHLO test.outpost.example", "< 220 scripted.example",
                  "> RCPT TO:<a@words.example>", "octets)",
                  "< 451 4.3.2 \\x1b[31mlater", "> QUIT"):
        assert words in text, f"{words} is not in\n{text}"
    assert "\x1b" not in text
    send(outpost, "secret.example")
    found = item(outpost, "secret.example")

    def login():
        done = outpost.command("queue", "show", found["id"], "--session",
                               check=False)
        return done.stdout if "< 454" in done.stdout else ""
    text = wait_until(login, 15)
    assert "> AUTH PLAIN" in text, text
    coded = base64.b64encode(f"\0me\0{SECRET}".encode()).decode()
    assert SECRET not in text and coded not in text and \
        coded.rstrip("=") not in text, text
    words = outpost.json("queue", "show", found["id"], "--session")
    assert words[0]["words"], words


def in_detail(world, outpost):
    """One destination in detail, for a time; the others stay basic."""
    outpost.command("log", "detailed", "--destination", "Loud.Example",
                    "--for", "1h")
    send(outpost, "loud.example")
    send(outpost, "quiet.example")
    wait_delivered(world.hosts["loud.example"][0])
    wait_delivered(world.hosts["quiet.example"][0])
    assert wait_until(lambda: "MAIL FROM:<me@sender.example>" in
                      outpost.log(), 10)
    assert "RCPT TO:<a@loud.example>" in outpost.log()
    assert "RCPT TO:<a@quiet.example>" not in outpost.log()
    outpost.command("log", "basic", "--destination", "loud.example")
    wait_until(lambda: not outpost.json("lines")[0]["peer"], 5)
    time.sleep(2.5)  # its session ends
    send(outpost, "loud.example", "later")
    wait_delivered(world.hosts["loud.example"][0], 2)
    assert "later@loud.example" not in "".join(
        line for line in outpost.log().splitlines() if "smtp-" in line)
    assert outpost.command("log", "detailed", "--for", "soon",
                           check=False).returncode == 2
    outpost.command("log", "detailed", "--for", "1s")
    assert outpost.json("status")[0]["log"] == "detailed"
    assert wait_until(
        lambda: outpost.json("status")[0]["log"] == "basic", 10)


def after_reload(world, outpost):
    """Lines that live on know the new rules."""
    outpost.configure(outpost.settings.replace("# reload:", ""))
    outpost.command("reload")
    send(outpost, "notfinal.example", "new")
    assert wait_until(lambda: any(
        b"new@notfinal.example" in m.content
        for m in outpost.reports.messages), 15), outpost.text()
    del world


SCENES = [greylisted, bounced, next_host, suspended, relayed, tested,
          transcript, in_detail, after_reload]

RULES = """
reply "no thanks"    {{ action = "bounce"  destination = "final.example" }}
reply "other host"   {{ action = "next-host" }}
reply "Client host"  {{ action = "suspend"  after = 10m }}
reply "not from you" {{ action = "relay:isp" }}
# changed:reply "greylist" {{ action = "bounce" }}
# reload:reply "no thank" {{ action = "bounce" }}
relay "isp" {{ servers = {{ {relay} }}  tls = "none" }}
relay "login" {{ servers = {{ {login} }}  tls = "none"  user = "me"
                 password-file = "secret" }}
route "secret.example" {{ relay = "login" }}
retry {{ jitter = 10% }}
"""


def build(folder, stage):
    world = World(folder, stage)
    world.domain("grey.example", {
        "RCPT": ["451 4.7.1 Greylisted, come back later", "250 2.1.5 ok"]})
    world.domain("final.example", {"MAIL": "450 4.7.1 no thanks"})
    world.domain("notfinal.example", {"MAIL": "450 4.7.1 no thanks"})
    world.domain("two.example", {"MAIL": "550 5.7.1 try the other host"}, {})
    world.domain("listed.example", {
        "MAIL": "554 5.7.1 Client host [192.0.2.1] blocked"})
    world.domain("refused.example", {"MAIL": "554 5.7.1 not from you"})
    world.domain("words.example", {"end": "451 4.3.2 \x1b[31mlater"})
    world.domain("loud.example", {})
    world.domain("quiet.example", {})
    world.domain("sender.example", {})
    world.domain("relay", {"MAIL": ["451 4.3.0 relay is busy", "250 ok"]})
    world.domain("login", {
        "offers": ("AUTH PLAIN", "8BITMIME"),
        "AUTH": Answer("454 4.7.0 not now", then=CLOSE)})
    return world


def main():
    failed = 0
    with Folder() as folder:
        stage = Stage()
        world = build(folder, stage)
        where = {n: f'"smtp://{h[0].address}:{stage.port}"'
                 for n, h in world.hosts.items()}
        outpost = Instance(folder / "outpost")
        (outpost.folder / "secret").write_text(SECRET + "\n")
        (outpost.folder / "secret").chmod(0o600)
        outpost.settings = RULES.format(**where) + world.routes
        outpost.configure(outpost.settings)
        outpost.reports = world.hosts["sender.example"][0]
        with outpost:
            for scene in SCENES:
                began = time.monotonic()
                try:
                    scene(world, outpost)
                    print(f"ok      {scene.__name__} "
                          f"{time.monotonic() - began:.1f} s", flush=True)
                except (AssertionError, RuntimeError) as error:
                    failed += 1
                    print(f"FAILED  {scene.__name__}: {error}", flush=True)
        stage.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
