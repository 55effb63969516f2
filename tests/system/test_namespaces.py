"""Two instances side by side, each in name, mount and network spaces of its own
(hazard 49), as in containers: host name and resolv.conf are those that each
sees, and the log says which were read. Root only.
"""
import os
import pathlib
import re
import subprocess
import sys

import dns
from outpost import Folder, Instance, Sink, skip, wait_until

NAMES = ("alpha.one.example", "beta.two.example")
SPACES = ["unshare", "--mount", "--uts", "--net"]


def need():
    if os.getuid() != 0:
        skip("name, mount and network spaces need root")
    done = subprocess.run([*SPACES, "true"], capture_output=True)
    if done.returncode:
        skip("no name spaces here: " + done.stderr.decode().strip())
    dns.need()


def settle(folder, name):
    """This space's host name, resolver and hosts file."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["hostname", name], check=True)
    for path, text in (("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
                       ("/etc/hosts", "127.0.0.1 localhost\n")):
        own = folder / pathlib.Path(path).name
        own.write_text(f"# of {name}\n" + text)
        own.chmod(0o644)
        subprocess.run(["mount", "--bind", own, path], check=True)


def inside(folder, name):
    """One container's life. The same domain leads elsewhere in each."""
    other = folder.parent / NAMES[1 - NAMES.index(name)]
    settle(folder, name)
    dns.free_port = lambda: 53  # resolv.conf has no ports
    zones = {"there.example": f"@ IN MX 1 mx.{name}.\n",
             name: "mx IN A 127.0.0.1\n"}
    server = dns.Nsd(folder, zones)
    try:
        with Sink(folder / "sink", port=2525) as sink:
            instance = Instance(folder / "a", listen=False)
            instance.base = re.sub("localname.*\n", "", instance.base)
            instance.configure(f"port = {sink.port}\nallow-local-mx = on\n")
            with instance:
                (folder / "ready").touch()
                assert wait_until((other / "ready").exists, 20)
                done = instance.sendmail(f"Subject: of {name}\n\nx\n", "-f",
                                         "s@home.example", "u@there.example")
                assert done.returncode == 0, done
                message, = sink.wait(1, 20)
                instance.wait_empty()
                judge(instance, name, message)
    finally:
        server.stop()


def judge(instance, name, message):
    assert f"Subject: of {name}".encode() in message
    assert f"Received: by {name} (Outpost".encode() in message, message
    log = instance.log()
    assert re.search(r" resolvers from=/etc/resolv\.conf "
                     r"servers=127\.0\.0\.1:53\b", log), log
    assert f"host=mx.{name} " in log, log
    for other in NAMES:
        assert other == name or other not in log, log
    settings = instance.command("check", "-n").stdout
    assert name in settings, settings


def main():
    if len(sys.argv) == 3:
        inside(pathlib.Path(sys.argv[1]), sys.argv[2])
        return
    need()
    with Folder() as folder:
        running = []
        for name in NAMES:
            (folder / name).mkdir()
            running.append(subprocess.Popen(
                [*SPACES, sys.executable, __file__, folder / name, name],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        for name, process in zip(NAMES, running):
            out, _ = process.communicate(timeout=90)
            assert process.returncode == 0, out.decode(errors="replace")
            print("ok", name, flush=True)


if __name__ == "__main__":
    main()
