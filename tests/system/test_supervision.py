"""What Outpost does when its own processes cannot live: a message that kills
its line, no more processes or descriptors, a configuration that takes away
what is in use (hazards 27, 29, 30).
"""
import os
import pathlib
import shutil
import signal
import smtplib
import socket
import time

import outpost as harness
from outpost import Folder, Instance, Sink, wait_until
from scripted import SILENT, Answer, Stage

STRANGER = 54322
RETRY = 'retry { wait = 1s  factor = 1  max-wait = 1s  jitter = 0% }\n'


def route(name, address, more=""):
    return f'route "{name}" {{ servers = {{ "smtp://{address}" }} {more} }}\n'


def send(instance, to, *words):
    """The id of a message that was accepted."""
    done = instance.sendmail("Subject: x\n\nhello\n", "-v", *words, to)
    assert done.returncode == 0, done
    return done.stdout.decode().split()[-1]


def line_of(instance, message):
    """The pid of the line that has the message, 0: none."""
    return next((l["pid"] for l in instance.json("lines")
                 if l["message"] == message), 0)


def check_sums(instance):
    stats = instance.stats()
    assert stats["accepted"] == stats["delivered"] + stats["failed"] + \
        stats["retracted"] + stats["recipients"], stats
    return stats


def cpu_seconds(instance):
    ticks = 0
    for pid in instance.pids():
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


# --- poison ------------------------------------------------------------------

def poison(folder):
    """A message whose line dies three times is set aside; others flow."""
    stage = Stage()
    tarpit = stage.host("127.0.4.1", {
        "RCPT": {"poison": Answer(then=SILENT)}})
    conf = RETRY + route("*.example", f"127.0.4.1:{stage.port}") + \
        'line "default" { count = 3 }\n'
    with Instance(folder / "a", conf, listen=False) as i:
        i.may_die = True
        bad = send(i, "poison@p.example")
        for death in range(3):
            pid = wait_until(lambda: line_of(i, bad), 20)
            assert pid, i.text()
            good = send(i, f"good{death}@p.example")
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda: good not in
                              [d["id"] for d in i.queue()], 20), i.text()
        assert wait_until(lambda: i.queue()[0]["state"] == "suspended"), \
            i.queue()
        send(i, "last@p.example")
        assert wait_until(lambda: [d["id"] for d in i.queue()] == [bad])
        time.sleep(2)
        assert not line_of(i, bad), "tried again"
        out = i.command("queue", "explain", bad).stdout
        assert "suspended" in out or "line" in out, out
        check_sums(i)
        assert i.stop() == 0
        # it stays set aside; an operator's word lets it go
        i.start()
        time.sleep(1)
        assert i.queue()[0]["state"] == "suspended" and not line_of(i, bad)
        tarpit.script["RCPT"] = "250 2.1.5 ok"
        i.command("queue", "retry", bad, "--yes")
        i.wait_empty()
        stats = check_sums(i)
        # what shared a line with it may be among the uncertain ones
        assert stats["delivered"] == 5 and stats["uncertain"] >= 3, stats
        copies = len(tarpit.messages) - 5
        assert 0 <= copies <= stats["uncertain"], copies
    stage.stop()


# --- no more processes, no more descriptors ----------------------------------

class Limited:
    """Instances that run below limits, as a user of their own when root does
    the test."""

    def __init__(self, folder, *limits):
        self.folder = folder / "bin"
        self.folder.mkdir()
        self.real = harness.BIN
        for program in self.real.iterdir():
            (self.folder / program.name).symlink_to(program)
        (self.folder / "outpost").unlink()
        words = ["prlimit", *limits]
        if os.geteuid() == 0:
            words += ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}",
                      "--clear-groups"]
            (folder / "a").mkdir()
            os.chown(folder / "a", STRANGER, STRANGER)
        script = self.folder / "outpost"
        # only what runs is limited, not what looks at it
        script.write_text(
            f'#!/bin/sh\n[ "$1" = run ] || exec {self.real}/outpost "$@"\n'
            f'exec {" ".join(words)} {self.real}/outpost "$@"\n')
        script.chmod(0o755)

    def __enter__(self):
        harness.BIN = self.folder

    def __exit__(self, *_):
        harness.BIN = self.real


def own_threads():
    """Of the user whom the limit will be about."""
    uid = STRANGER if os.geteuid() == 0 else os.getuid()
    count = 0
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                count += len(os.listdir(entry / "task"))
        except OSError:
            continue
    return count


def is_calm(instance, seconds=2):
    """It does not spin: a tenth of a processor at most."""
    before = cpu_seconds(instance)
    time.sleep(seconds)
    used = cpu_seconds(instance) - before
    assert used < seconds / 10, (used, instance.text())


def no_processes(folder):
    """Lines cannot be forked: mail goes over those there are, nothing spins,
    and nothing is lost or bounced."""
    if not shutil.which("setpriv") or not shutil.which("prlimit"):
        print("  skipped, needs setpriv and prlimit")
        return
    stage = Stage()
    slow = stage.host("127.0.4.2", {"end": Answer("250 ok", delay=0.2)})
    conf = RETRY + 'line "default" { count = 10 }\n' + "".join(
        route(f"d{n}.example", f"127.0.4.2:{stage.port}") for n in range(10))
    # supervisor and five programs, then two lines
    limit = own_threads() + 8
    with Limited(folder, f"--nproc={limit}"), \
            Instance(folder / "a", conf, listen=False) as i:
        i.may_die = True
        for n in range(30):
            send(i, f"u@d{n % 10}.example")
        assert wait_until(lambda: "line-not-started" in i.log()), i.text()
        is_calm(i)
        assert wait_until(lambda: not i.queue("--limit", "1"), 30), i.text()
        if os.geteuid() == 0:  # else others' processes count too
            assert 1 <= len([l for l in i.json("lines") if l["pid"]]) <= 2
        stats = check_sums(i)
        assert (stats["delivered"], stats["failed"]) == (30, 0), stats
        assert len(slow.messages) == 30
    stage.stop()


def no_descriptors(folder):
    """Fewer descriptors than connections and lines: who comes too much waits
    or is refused, nothing spins, and all goes on afterwards. The runner and
    the spawner lose each other over a descriptor that cannot be had, and are
    connected anew."""
    if not shutil.which("setpriv") or not shutil.which("prlimit"):
        print("  skipped, needs setpriv and prlimit")
        return
    stage = Stage()
    slow = stage.host("127.0.4.3", {"end": Answer("250 ok", delay=0.1)})
    conf = RETRY + 'line "default" { count = 60 }\n' + "".join(
        route(f"d{n}.example", f"127.0.4.3:{stage.port}") for n in range(60))
    with Limited(folder, "--nofile=40"), \
            Instance(folder / "a", conf) as i:
        i.may_die = True
        for n in range(120):
            send(i, f"u@d{n % 60}.example")
        # all sockets, more than there can be
        held = []
        for name in ("submit.sock", "queue.sock", "runner.sock",
                     "outpost.sock"):
            for _ in range(60):
                s = socket.socket(socket.AF_UNIX)
                s.setblocking(False)
                try:
                    s.connect(str(i.folder / "run" / name))
                except OSError:
                    pass
                held.append(s)
        for _ in range(60):
            s = socket.socket()
            s.setblocking(False)
            try:
                s.connect(("127.0.0.1", i.port))
            except OSError:
                pass
            held.append(s)
        time.sleep(1)
        is_calm(i)
        for s in held:
            s.close()
        assert wait_until(lambda: i.command(
            "queue", "list", check=False).returncode == 0, 20), i.text()
        assert wait_until(lambda: not i.queue("--limit", "1"), 40), i.text()
        assert "spawner-lost" in i.log()
        assert wait_until(lambda: "connected-anew" in i.log()), i.text()
        for line in i.json("lines"):
            if line["pid"]:
                os.kill(line["pid"], signal.SIGKILL)
        with smtplib.SMTP("127.0.0.1", i.port, timeout=10) as client:
            client.sendmail("a@x.example", ["u@d0.example"], "x\r\n")
        assert wait_until(lambda: not i.queue("--limit", "1"), 20), i.text()
        stats = check_sums(i)
        assert (stats["delivered"], stats["failed"]) == (121, 0), stats
        assert len(slow.messages) - 121 <= stats["uncertain"]
    stage.stop()


# --- a configuration that takes away what is in use --------------------------

def sending(instance):
    return [l for l in instance.json("lines") if l["state"] == "sending"]


def group_removed(folder):
    """A line group goes while its mail is under way: what is being sent is
    finished, the rest goes by what is left, once each."""
    stage = Stage()
    host = stage.host("127.0.4.5", {"end": Answer("250 ok", delay=1)})
    base = RETRY + 'line "default" { count = 2 }\n'
    bulk = base + 'line "bulk" { count = 2  messages-per-connection = 3 }\n' \
        + route("*.example", f"127.0.4.5:{stage.port}", 'line = "bulk"')
    with Instance(folder / "a", bulk, listen=False) as i:
        for n in range(8):
            send(i, f"u{n}@d.example")
        assert wait_until(lambda: sending(i)), i.text()
        # the route still names it: refused, and all goes on
        i.configure(bulk.replace('line "bulk" { count = 2  '
                                 'messages-per-connection = 3 }\n', ""))
        done = i.command("reload", check=False)
        assert done.returncode == 78 and "bulk" in done.stderr, done
        i.configure(base + route("*.example", f"127.0.4.5:{stage.port}"))
        i.command("reload")
        i.wait_empty(40)
        stats = check_sums(i)
        assert (stats["delivered"], stats["failed"], stats["uncertain"]) == \
            (8, 0, 0), stats
        assert len(host.messages) == 8
        assert {l["group"] for l in i.json("lines")} == {"default"}
    stage.stop()


def limits_lowered(folder):
    """Below what is in use now: nothing is lost, and the new limits hold."""
    stage = Stage()
    host = stage.host("127.0.4.6", {"end": Answer("250 ok", delay=0.3)})
    tail = route("*.example", f"127.0.4.6:{stage.port}")
    high = RETRY + 'line "default" { count = 10 }\n' + tail
    low = RETRY + 'line "default" { count = 1 }\n' + tail + \
        "limits { connections = 2  destination-connections = 1  " \
        "recipients = 1  message-size = 1K }\n"
    with Instance(folder / "a", high) as i:
        for n in range(30):
            send(i, f"u{n}@d{n % 3}.example")
        clients = [smtplib.SMTP("127.0.0.1", i.port, timeout=10)
                   for _ in range(5)]
        assert wait_until(lambda: sending(i)), i.text()
        i.configure(low)
        i.command("reload")
        # whoever is connected is told, or finishes; new ones fit the limit
        for client in clients:
            try:
                client.quit()
            except (smtplib.SMTPException, OSError):
                pass
        assert wait_until(lambda: i.json("lines") and
                          len(i.json("lines")) == 1, 20), i.text()
        i.wait_empty(40)
        stats = check_sums(i)
        assert (stats["delivered"], stats["failed"], stats["uncertain"]) == \
            (30, 0, 0), stats
        assert len(host.messages) == 30
        done = i.sendmail("Subject: x\n\n" + "x" * 2000, "u@d.example")
        assert done.returncode == 69, done
        done = i.sendmail("Subject: x\n\nx\n", "u@d.example", "v@d.example")
        assert done.returncode == 69, done
        send(i, "u@d.example")
        i.wait_empty()
    stage.stop()


def spool_lowered(folder):
    """A spool limit below what is there: new mail waits outside, what was
    accepted stays, and with room again all goes on."""
    high = "outbound = off\nlimits { spool-size = 64M }\n"
    low = "outbound = off\nlimits { spool-size = 1M }\n"
    with Instance(folder / "a", high, listen=False) as i:
        text = b"Subject: x\n\n" + b"x" * 76 + b"\n" * 3000 + b"y" * 100000
        before = 0
        while before < 100:
            assert i.sendmail(text, "u@d.example").returncode == 0
            before += 1
        i.configure(low)
        i.command("reload")
        codes = {i.sendmail(text, "u@d.example").returncode
                 for _ in range(100)}
        assert 75 in codes and codes <= {0, 75}, codes
        kept = i.stats()["recipients"]
        assert kept >= before
        i.configure(high)
        i.command("reload")
        assert wait_until(lambda: i.sendmail(
            text, "u@d.example").returncode == 0), i.text()
        assert check_sums(i)["recipients"] >= kept + 1
        assert i.command("queue", "verify").returncode == 0


def half_written(folder):
    """Read in the middle of being written: all of it or nothing of it."""
    with Sink(folder / "sink") as sink:
        conf = RETRY + route("*.example", f"127.0.0.1:{sink.port}") + \
            'line "default" { count = 2 }\ntls { policy = "opportunistic" }\n'
        with Instance(folder / "a", conf, listen=False) as i:
            whole = i.conf.read_text()
            pids = i.pids("outpost-queued")
            start = whole.index("route")
            refused = 0
            for cut in range(start, len(whole) - 1, 7):
                i.conf.write_text(whole[:cut])
                done = i.command("reload", check=False)
                refused += done.returncode != 0
                assert done.returncode == 0 or \
                    "outpost.conf:" in done.stderr, done
            assert refused > 10, refused
            i.conf.write_text(whole)
            i.command("reload")
            send(i, "u@x.example")
            sink.wait(1)
            assert pids == i.pids("outpost-queued")
            i.wait_empty()


def main():
    for scene in (poison, no_processes, no_descriptors, group_removed,
                  limits_lowered, spool_lowered, half_written):
        print(scene.__name__, flush=True)
        started = time.monotonic()
        with Folder() as folder:
            scene(folder)
        print(f"  {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
