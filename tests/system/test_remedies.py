"""What an administrator and a sender read when mail waits for something that
they can mend: a wrong password, no CA certificates, a name that does not fit, a
port that is blocked. Each is told in one line that names the step and the
remedy, in three places: the log, outpost queue explain, the delay notice.
"""
import email
import email.policy
import ssl
import sys

from certificates import Authority
from login_peer import Login
from outpost import Folder, Instance, wait_until
from scripted import Stage

ME = "me@relay.example"
OFFERS = ("AUTH PLAIN SCRAM-SHA-256",)
# case: words that the line must have: the step, what was found, the remedy
CASES = {
    "password": ("AUTH SCRAM-SHA-256", f'the login of user "{ME}" was refused',
                 "535 5.7.8", "correct the relay's user or password-file",
                 "outpost reload"),
    "name": ("certificate of [127.0.55.2]",
             'is for "x.example": name mismatch',
             "call the server by a name of its certificate (servers of the "
             "relay"),
    "blocked": ("connect to 127.0.55.3:", "Connection refused",
                "check host and port"),
    "bundle": ("certificate of [127.0.55.4] cannot be verified",
               "missing.pem: No such file or directory",
               "install the package ca-certificates or name a bundle in tls "
               "{ ca-file }"),
}


def context(pem):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    return tls


class World:
    def __init__(self, folder, stage):
        self.folder, self.stage = folder, stage
        self.ca = Authority(folder)
        self.home = stage.host("127.0.55.9")
        self.server("127.0.55.1", "127.0.55.1",
                    {"offers": ("STARTTLS",), "offers-tls": OFFERS,
                     "AUTH": Login({ME: "right one"})})
        self.server("127.0.55.2", "x.example", {"offers": ("STARTTLS",)})
        self.server("127.0.55.4", "127.0.55.4", {"offers": ("STARTTLS",)})
        secret = folder / "secret"
        secret.write_text("wrong one\n")
        secret.chmod(0o600)
        self.relays = {
            "password": f'tls = "verify" user = "{ME}" password-file = '
                        f'"{secret}"',
            "name": 'tls = "verify"', "blocked": ""}

    def server(self, address, name, script):
        host = self.stage.host(address, script)
        is_ip = name[0].isdigit()
        host.tls = context(self.ca.issue("y.example" if is_ip else name,
                                         ip=name if is_ip else None))

    def conf(self, bundle, relays):
        address = dict(zip(CASES, (f"127.0.55.{i}" for i in range(1, 9))))
        port = self.stage.port
        text = (f'tls {{ ca-file = "{bundle}" }}\n'
                'retry { wait = 1s  factor = 1  lifetime = 1h  '
                'warn-after = 2s }\n'
                f'route "home.example" {{ servers = {{ "smtp://127.0.55.9:'
                f'{port}" }} tls = "none" }}\n')
        for name, settings in relays.items():
            text += (f'relay "{name}" {{ servers = {{ "smtp://'
                     f'{address[name]}:{port}" }} {settings} }}\n'
                     f'sender "{name}@home.example" {{ relay = "{name}" }}\n')
        return text


def send(outpost, name):
    done = outpost.sendmail("Subject: x\n\nhello\n", "-f",
                            f"{name}@home.example", "a@far.example")
    assert done.returncode == 0, done.stderr.decode()


def notice(world, name):
    """The delay notice, when it has come: (its text, its report part)."""
    for message in world.home.messages:
        if message.rcpts != [f"{name}@home.example"]:
            continue
        whole = email.message_from_bytes(message.content,
                                         policy=email.policy.SMTP)
        text, report = list(whole.iter_parts())[:2]
        return text.get_content(), report.as_string()
    return None


def unfold(text):
    return " ".join(text.split())


def lacking(text, words):
    return [w for w in words if w not in unfold(text).replace("\\x22", '"')]


def check(world, outpost, name):
    """What is missing where."""
    text = wait_until(lambda: notice(world, name), 20)
    if not text:
        return [f"no delay notice\n{outpost.text()}"]
    item, = [i for i in outpost.queue()
             if i["sender"] == f"{name}@home.example"]
    explained = outpost.command("queue", "explain", item["id"]).stdout
    logged = [line for line in outpost.log().splitlines()
              if f" deferred id={item['id']} " in line]
    print(f"--- {name}\n{logged[0]}\n\n{explained}\n{text[0]}\n{text[1]}")
    found = []
    for place, said in (("the log", logged[0]), ("explain", explained),
                        ("the notice", text[0]), ("its report", text[1])):
        missing = lacking(said, CASES[name])
        if "The server" in said and "said:" in said:
            missing.append("who said it")  # these are our own words
        if missing:
            found.append(f"{place} lacks {missing}")
    if "wrong one" in outpost.log() + explained + "".join(text):
        found.append("the password is told")
    return found


def play(world, folder, bundle, relays):
    failed = 0
    with Instance(folder, world.conf(bundle, relays)) as outpost:
        for name in relays:
            send(outpost, name)
        for name in relays:
            wrong = check(world, outpost, name)
            failed += len(wrong)
            print(f"{'FAIL' if wrong else 'ok  '} {name}", *wrong, sep="\n  ")
    return failed


def main():
    with Folder() as folder, Stage() as stage:
        world = World(folder, stage)
        failed = play(world, folder / "first", world.ca.file, world.relays)
        failed += play(world, folder / "second", folder / "missing.pem",
                       {"bundle": 'tls = "verify"'})
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
