"""The supervisor and the front command: starting, watching, reloading and
stopping programs, and what happens when something is missing or dies."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import outpost
from outpost import Folder, Instance, Sink, free_port, program_of, tree, \
    wait_until

CHILDREN = ("outpost-queued", "outpost-runner", "outpost-resolve",
            "outpost-remote", "outpost-fetch", "outpost-smtpd")
TEXT = "Subject: test\n\nhello\n"


def relay(port, more=""):
    return ('mode = "relay"\nrelay "default" { servers = '
            f'{{ "smtp://127.0.0.1:{port}" }} tls = "none" }}\n' + more)


def send(instance, to="b@example.org"):
    done = instance.sendmail(TEXT, "-f", "a@example.com", to)
    assert done.returncode == 0, (done, instance.text())


def programs(instance):
    """{program: object} of outpost status."""
    return {o["program"]: o for o in instance.json("status")
            if "program" in o}


def all_ready(instance):
    return all(o["state"] == "ready" for o in programs(instance).values())


def is_listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_status(folder):
    with Instance(folder / "o") as i:
        seen = programs(i)
        assert set(seen) == {"outpost", *CHILDREN}
        assert seen["outpost"]["pid"] == i.process.pid
        assert seen["outpost"]["file"] == str(i.conf)
        for name in CHILDREN:
            assert program_of(seen[name]["pid"]) == name
            assert seen[name]["restarts"] == 0
        words = i.command("status").stdout
        assert "outpost-queued" in words and "outbound" in words
        lines = i.json("lines")
        assert lines and set(lines[0]) == {
            "group", "line", "pid", "state", "peer", "message", "since",
            "sent"}
    # The listener is started only when there is something to listen on.
    with Instance(folder / "silent", listen=False) as i:
        assert "outpost-smtpd" not in programs(i)


def test_confined(folder):
    """Every child has lost its rights before it serves; hazard 45."""
    with Instance(folder / "o") as i:
        for name, object in programs(i).items():
            if name == "outpost":
                continue
            text = pathlib.Path(f"/proc/{object['pid']}/status").read_text()
            seen = dict(line.split(":\t", 1)
                        for line in text.splitlines() if ":\t" in line)
            assert seen["NoNewPrivs"] == "1" and seen["Seccomp"] == "2", name
            for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
                assert int(seen[kind], 16) == 0, (name, kind)
            if os.geteuid() == 0:
                assert "0" not in seen["Uid"].split(), name
                assert "0" not in seen["Gid"].split(), name


def test_second_instance(folder):
    with Instance(folder / "o") as i:
        again = i.command("run", check=False)
        assert again.returncode == 1, again
        assert "in use by another instance" in again.stderr
        assert str(i.process.pid) in again.stderr
        other = folder / "other.conf"
        other.write_text(i.conf.read_text().replace(
            'runtime = "run"', 'runtime = "run2"').replace(
            'spool = "spool"', f'spool = "{folder}/o/spool"'))
        again = subprocess.run(
            [outpost.BIN / "outpost", "-c", other, "run"],
            capture_output=True, text=True, timeout=20)
        assert again.returncode == 1 and "spool" in again.stderr, again
        assert all_ready(i)


def test_restart(folder):
    """Each program is killed; the others go on and mail flows again."""
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", relay(sink.port)) as i:
        i.may_die = True
        send(i)
        sink.wait(1)
        for count, name in enumerate(CHILDREN, 2):
            old = programs(i)[name]["pid"]
            os.kill(old, signal.SIGKILL)
            assert wait_until(
                lambda: programs(i)[name]["pid"] not in (0, old), 10), name
            assert wait_until(lambda: all_ready(i), 10), i.text()
            assert programs(i)[name]["restarts"] == 1
            send(i)
            sink.wait(count)
        assert wait_until(lambda: is_listening(i.port), 5)
        assert i.log().count("child-died") == len(CHILDREN)
        i.wait_empty()


def test_missing_program(folder):
    """No remote binary, or not a program: tried again with growing pauses,
    mail waits and is not bounced; hazards 30 and 31."""
    original = outpost.BIN
    copy = folder / "bin"
    shutil.copytree(original, copy, symlinks=True)
    os.chmod(folder, 0o755)
    outpost.BIN = copy
    try:
        with Sink(folder / "sink") as sink, \
                Instance(folder / "o", relay(sink.port)) as i:
            i.may_die = True
            (copy / "outpost-remote").chmod(0o644)
            os.kill(programs(i)["outpost-remote"]["pid"], signal.SIGKILL)
            send(i)
            time.sleep(2)
            failures = i.log().count("start-failed")
            assert 3 <= failures <= 6, failures
            assert programs(i)["outpost-remote"]["state"] == "waiting"
            assert [m["recipient"] for m in i.queue()] == ["b@example.org"]
            (copy / "outpost-remote").unlink()
            (copy / "outpost-remote").write_text("not a program\n")
            (copy / "outpost-remote").chmod(0o755)
            time.sleep(0.5)
            (copy / "outpost-remote").unlink()
            shutil.copy(original / "outpost-remote", copy)
            sink.wait(1, 30)
            i.wait_empty()
            assert i.stats()["delivered"] == 1
    finally:
        outpost.BIN = original


def test_reload(folder):
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", relay(sink.port)) as i:
        whole = i.conf.read_text()
        for broken, word in ((whole + "nonsense = 1\n", "nonsense"),
                             (whole[:-5], "outpost.conf"),
                             (whole.replace('spool = "spool"',
                                            'spool = "other"'), "spool"),
                             (whole.replace('runtime = "run"',
                                            'runtime = "elsewhere"'), None)):
            i.conf.write_text(broken)
            done = i.command("reload", check=False)
            assert done.returncode != 0, broken
            assert word is None or word in done.stderr, done
            i.conf.write_text(whole)
            assert all_ready(i)
        send(i)
        sink.wait(1)
        old, i.port = i.port, free_port()
        i.conf.write_text(whole.replace(f":{old}\"", f":{i.port}\""))
        i.command("reload")
        assert wait_until(lambda: is_listening(i.port) and
                          not is_listening(old), 10)
        assert wait_until(lambda: all_ready(i), 10)
        send(i)
        sink.wait(2)
        # The same by signal; a listener that cannot be had is refused.
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            i.conf.write_text(i.conf.read_text() +
                              f'listen "127.0.0.1:{taken.getsockname()[1]}"'
                              " { }\n")
            os.kill(i.process.pid, signal.SIGHUP)
            assert wait_until(
                lambda: "reload-refused" in i.log().splitlines()[-1] or
                i.log().count("reload-refused") >= 3, 5), i.text()
        assert is_listening(i.port)
        # No listener any more.
        i.conf.write_text("\n".join(
            line for line in whole.splitlines()
            if not line.startswith("listen")) + "\n")
        i.command("reload")
        assert wait_until(lambda: not is_listening(i.port), 10)
        assert wait_until(lambda: "outpost-smtpd" not in programs(i), 10)
        send(i)
        sink.wait(3)


def test_outbound(folder):
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", relay(
                sink.port, 'route "example.net" { servers = '
                f'{{ "smtp://127.0.0.1:{sink.port}" }} }}\n')) as i:
        i.may_die = True
        i.command("outbound", "off")
        assert programs(i)["outpost"]["outbound"] is False
        send(i)
        time.sleep(0.3)
        # A runner that comes back still knows.
        os.kill(programs(i)["outpost-runner"]["pid"], signal.SIGKILL)
        assert wait_until(
            lambda: programs(i)["outpost-runner"]["restarts"] == 1 and
            all_ready(i), 10)
        time.sleep(0.5)
        assert len(i.queue()) == 1 and not sink.messages()
        i.command("outbound", "on")
        sink.wait(1)
        i.command("outbound", "off", "--destination", "route:example.net")
        assert programs(i)["outpost"]["outbound_off"] == \
            ["destination:route:example.net"]
        send(i)
        send(i, "c@example.net")
        sink.wait(2)
        time.sleep(0.3)
        assert [m["recipient"] for m in i.queue()] == ["c@example.net"]
        i.command("outbound", "on", "--destination", "route:example.net")
        sink.wait(3)
        i.command("outbound", "off", "--line", "default")
        send(i)
        time.sleep(0.3)
        assert len(i.queue()) == 1
        i.command("outbound", "on", "--line", "default")
        sink.wait(4)
        done = i.command("outbound", "off", "--line", "none", check=False)
        assert done.returncode == 1 and "none" in done.stderr
        for words in (("outbound",), ("outbound", "maybe"), ("log", "loud"),
                      ("status", "extra"), ("lines", "set", "a"),
                      ("unknown",)):
            assert i.command(*words, check=False).returncode == 2, words


def test_log_level(folder):
    """Live, for new sessions, and for a program that starts again."""
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", relay(sink.port)) as i:
        i.may_die = True
        send(i)
        sink.wait(1)
        assert "smtp-command" not in i.log()
        i.command("log", "detailed")
        for name in ("outpost-runner", "outpost-remote"):
            os.kill(programs(i)[name]["pid"], signal.SIGKILL)
        assert wait_until(lambda: i.log().count("child-died") == 2 and
                          all_ready(i), 10)
        send(i)
        sink.wait(2)
        assert wait_until(lambda: "smtp-command" in i.log(), 5), i.text()
        i.command("log", "basic")


def test_stop_waits(folder):
    """What a line has begun is finished and recorded before the end."""
    with Sink(folder / "sink", "--delay", "1000") as sink, \
            Instance(folder / "o", relay(sink.port)) as i:
        send(i)
        assert wait_until(lambda: any(
            m["state"] == "active" for m in i.queue()), 5)
        done = i.command("stop")
        assert done.returncode == 0
        assert i.process.wait(5) == 0
        assert len(sink.messages()) == 1
        i.start()
        assert i.queue() == [] and i.stats()["delivered"] == 1
        # Twice told, it does not wait.
        i.may_die = True
        send(i)
        assert wait_until(lambda: any(
            m["state"] == "active" for m in i.queue()), 5)
        start = time.monotonic()
        i.process.terminate()
        time.sleep(0.1)
        for _ in range(4):
            if i.process.poll() is None:
                i.process.send_signal(signal.SIGINT)
                time.sleep(0.1)
        assert i.process.wait(5) == 0
        assert time.monotonic() - start < 5


def test_background(folder):
    i = Instance(folder / "o")
    down = i.command("status", check=False)
    assert down.returncode == 1 and "not running" in down.stderr
    down = i.command("status", "--json", check=False)
    assert down.returncode == 1 and \
        json.loads(down.stdout)["state"] == "down"
    for words in (("stop",), ("reload",), ("lines",), ("outbound", "on")):
        assert i.command(*words, check=False).returncode == 1, words
    # "start" is not ready before the programs are.
    i.command("start")
    seen = programs(i)
    pid = seen["outpost"]["pid"]
    try:
        assert all(o["state"] == "ready" for o in seen.values()), seen
        assert is_listening(i.port)
        assert os.getsid(pid) == pid
        assert i.command("start", check=False).returncode == 1
    finally:
        assert i.command("stop").returncode == 0
    assert not is_listening(i.port)
    assert wait_until(lambda: program_of(pid) == "", 5)
    i.command("start")
    i.command("stop")
    # What keeps it from starting is said at once.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", i.port))
        taken.listen()
        done = i.command("start", check=False)
    assert done.returncode == 1, done
    assert f"{i.conf}:" in done.stderr and str(i.port) in done.stderr, done
    i.configure("bad = 1\n")
    for words in (("start",), ("run",), ("check",), ("status",)):
        done = i.command(*words, check=False)
        assert done.returncode == 78 and f"{i.conf}:" in done.stderr, done


def test_check(folder):
    i = Instance(folder / "o")
    assert i.command("check").stdout == "configuration ok\n"
    text = i.command("check", "-n").stdout
    i.conf.write_text(text)
    assert i.command("check", "-n").stdout == text
    for words in (("-h",), ("run", "-h"), ("outbound", "--help")):
        done = i.command(*words)
        assert "usage: outpost" in done.stdout, words


def test_orphans(folder):
    """Without their supervisor the programs end, and another can start."""
    i = Instance(folder / "o").start()
    pids = tree(i.process.pid)[1:]
    os.kill(i.process.pid, signal.SIGKILL)
    i.process.wait()
    assert wait_until(lambda: not any(
        program_of(p).startswith("outpost") for p in pids), 10)
    i.start()
    assert all_ready(i)
    i.stop()


def test_notify(folder):
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(10)
        os.environ["NOTIFY_SOCKET"] = str(path)
        try:
            with Instance(folder / "o") as i:
                assert b"READY=1" in s.recv(1000).split()
                os.kill(i.process.pid, signal.SIGHUP)
                assert s.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
                assert s.recv(1000) == b"READY=1"
                i.stop()
                assert s.recv(1000) == b"STOPPING=1"
        finally:
            del os.environ["NOTIFY_SOCKET"]


def test_strangers(folder):
    """The control socket is open to all, its changes are not."""
    with Instance(folder / "o") as i:
        path = str(i.folder / "run/outpost.sock")
        crowd = []
        for n in range(100):
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            s.sendall(os.urandom(n * 7))
            crowd.append(s)
        for s in crowd:
            s.close()
        assert wait_until(lambda: i.command(
            "status", check=False).returncode == 0, 5)
        assert all_ready(i)
        if os.geteuid() != 0:
            return
        as_nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        assert i.command("status", **as_nobody).returncode == 0
        for words in (("stop",), ("reload",), ("outbound", "off"),
                      ("log", "detailed")):
            done = i.command(*words, check=False, **as_nobody)
            assert done.returncode == 1 and "only root" in done.stderr, done
        # Nobody can keep the operator out by sitting there.
        python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
        if not python:
            return
        crowd = subprocess.Popen(
            [python, "-c", "import socket, sys\n"
             "held = [socket.socket(socket.AF_UNIX) for _ in range(200)]\n"
             f"[s.connect({path!r}) for s in held]\n"
             "print('sitting', flush=True)\nsys.stdin.read()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
            **as_nobody)
        assert crowd.stdout.readline() == b"sitting\n"
        assert all_ready(i)
        crowd.communicate()


def test_foreign_folders(folder):
    """A spool of somebody else is not taken over."""
    if os.geteuid() != 0:
        return
    spool = folder / "o" / "spool"
    i = Instance(folder / "o")
    spool.mkdir()
    os.chown(spool, 4242, 4242)
    done = i.command("run", check=False)
    assert done.returncode == 1 and "4242" in done.stderr, done
    spool.rmdir()
    spool.symlink_to("/tmp")
    done = i.command("run", check=False)
    assert done.returncode == 1 and "spool" in done.stderr, done
    spool.unlink()
    i.start()
    i.stop()


def main():
    only = sys.argv[1:]
    tests = [(name, test) for name, test in globals().items()
             if name.startswith("test_") and (not only or name in only)]
    for name, test in tests:
        start = time.monotonic()
        with Folder() as folder:
            test(folder)
        print(f"{name} {time.monotonic() - start:.1f} s", flush=True)


main()
