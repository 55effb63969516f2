"""A reply lost after the last octet of a message on a TLS session (hazard 47):
recorded as perhaps a second copy, tried again over TLS where TLS is required,
and never in clear text; for a small and a large body, for DATA and BDAT.
"""
import re
import shutil
import subprocess

from outpost import Folder, Instance, skip, wait_until
from scripted import CHUNKING, CLOSE, NO_TLS, OFFERS, PIPELINING, RESET, \
    Answer, Stage
from scripted import TLS as WITH_TLS

TLS = (*OFFERS, "STARTTLS")
PLAIN = [o for o in OFFERS if o not in (PIPELINING, CHUNKING)]
# what the server offers, how it goes, the message's lines
CASES = {
    "bdat": (TLS, CLOSE, 10),
    "reset": (TLS, RESET, 10),
    "data": ((*PLAIN, "STARTTLS"), CLOSE, 10),
    "large": (TLS, CLOSE, 40000),
}


def certificate(folder):
    if not shutil.which("openssl"):
        skip("openssl is not installed")
    path = folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=scripted.example", "-keyout", path, "-out",
                    folder / "c"], check=True, stderr=subprocess.DEVNULL)
    path.write_text(path.read_text() + (folder / "c").read_text())
    return path


def subjects(host):
    return [re.search(rb"Subject: (.*?)\r", m.content)[1]
            for m in host.messages]


def script(offers, how):
    """Taken without a word; then a broken handshake, a refusal of TLS, a
    server that has none; then all is well. EHLO is said twice where TLS is
    begun."""
    none = [o for o in offers if o != "STARTTLS"]
    go = Answer("220 go", then=WITH_TLS)
    return {"offers": [offers] * 4 + [none, offers],
            "STARTTLS": [go, Answer("220 go", then=NO_TLS),
                         "454 4.7.0 not now", go],
            "end": [Answer(then=how), None]}


def check(outpost, name, host):
    lines = CASES[name][2]
    done = outpost.sendmail(f"Subject: {name}\n\n" + ("y" * 70 + "\n") * lines,
                            "-v", "-f", "s@home.example", f"u@{name}.example")
    assert done.returncode == 0, done
    number = done.stdout.decode().strip()
    assert wait_until(lambda: f" delivered id={number}" in outpost.log(), 40), \
        outpost.text()
    # recorded as perhaps a second copy, then put off, each time for its cause
    said = re.findall(rf": (\w+) id={number} to=", outpost.log())
    assert (said[0], said[-1]) == ("uncertain", "delivered") and \
        set(said[1:-1]) == {"deferred"}, said
    # no attempt was made of the connection that was lost
    assert not re.search(rf" deferred id={number} .*reply=\"reading:",
                         outpost.log()), outpost.text()
    tries = host.connections
    assert [bool(c.messages) for c in tries] == \
        [True, False, False, False, True], [c.commands for c in tries]
    assert tries[0].is_tls and tries[4].is_tls
    # nothing of the message was said in clear text
    clear = [w for c in tries if not c.is_tls for w in c.commands]
    assert not [w for w in clear if re.match("MAIL|RCPT|DATA|BDAT", w)], clear
    assert subjects(host) == [name.encode()] * 2
    assert host.messages[0].content == host.messages[1].content


def main():
    with Folder() as folder, Stage(certificate=certificate(folder)) as stage:
        hosts, routes = {}, ""
        for n, (name, (offers, how, _)) in enumerate(CASES.items(), 1):
            hosts[name] = stage.host(f"127.0.9.{n}", script(offers, how))
            routes += (f'route "{name}.example" {{ tls = "require"  servers = '
                       f'{{ "smtp://127.0.9.{n}:{stage.port}" }} }}\n')
        conf = routes + "retry { wait = 1s  factor = 1  max-wait = 1s }\n"
        with Instance(folder / "a", conf, listen=False) as outpost:
            for name, host in hosts.items():
                check(outpost, name, host)
                print("ok", name, flush=True)
            stats = outpost.stats()
            assert stats["uncertain"] == len(CASES), stats
            assert stats["delivered"] == len(CASES), stats


if __name__ == "__main__":
    main()
