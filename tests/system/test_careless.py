"""What goes wrong around Outpost without its doing: careless callers and
configurations, clients that ask and do not read."""
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import outpost
from outpost import Folder, Instance, program_of, tree, wait_until


def header_numbers():
    """The numbers of the messages used here, from the header."""
    text = (outpost.REPO / "common/messages.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    numbers, number = {}, 0
    for name, given in re.findall(r"\b(MSG_\w+)(?: = (\d+))?,", text):
        number = int(given) if given else number + 1
        numbers[name] = number
    return numbers


def programs(instance):
    return {o["program"]: o for o in instance.json("status")
            if "program" in o}


def memory(pid):
    """Private bytes of a process."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1]) * 1024


def flood(path, kind, payload=b"", seconds=3):
    """Ask again and again, never read. Bytes that were taken."""
    frames = struct.pack(">HHIQ", kind, 0, len(payload), 1) + payload
    frames *= 60000 // len(frames)
    taken = 0
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.settimeout(0.3)
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                taken += s.send(frames[taken % len(frames):])
        except OSError:
            pass
        yield taken


def test_no_reading(folder):
    """Who asks and does not read costs no memory, and nobody else waits."""
    numbers = header_numbers()
    with Instance(folder / "o") as i:
        for name, program, kind, payload in (
                ("outpost.sock", "outpost", "MSG_STATUS", b""),
                ("runner.sock", "outpost-runner", "MSG_LINES", b""),
                ("queue.sock", "outpost-queued", "MSG_SHOW", bytes(8))):
            pid = programs(i)[program]["pid"]
            before = memory(pid)
            for taken in flood(i.folder / "run" / name, numbers[kind],
                               payload):
                grown = memory(pid) - before
                assert grown < 8 << 20, (name, taken, grown)
                start = time.monotonic()
                i.command("status")
                assert time.monotonic() - start < 2, name
        # Who asks much and reads all gets all.
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(i.folder / "run/outpost.sock"))
            s.settimeout(20)
            one = struct.pack(">HHIQ", numbers["MSG_STATUS"], 0, 0, 7)
            s.sendall(one * 2000)
            data, ends = bytearray(), 0
            while ends < 2000:
                more = s.recv(1 << 20)
                assert more, ends
                data += more
                while len(data) >= 16:
                    kind, _, length, _ = struct.unpack_from(">HHIQ", data)
                    if len(data) < 16 + length:
                        break
                    del data[:16 + length]
                    ends += kind == numbers["MSG_END"]


def test_descriptors(folder):
    """A caller's open descriptors reach no program; nor do the supervisor's."""
    secret = folder / "secret"
    secret.write_text("x")
    for command in ("run", "start"):
        i = Instance(folder / command)
        fd = os.open(secret, os.O_RDONLY)
        os.set_inheritable(fd, True)
        process = subprocess.Popen(
            [outpost.BIN / "outpost", command, "-c", i.conf],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=[fd])
        try:
            if command == "run":
                assert b"ready" in process.stdout.readline()
            else:
                assert process.wait(20) == 0
            pid = programs(i)["outpost"]["pid"]
            for one in tree(pid):
                try:
                    where = [os.readlink(f"/proc/{one}/fd/{n}")
                             for n in os.listdir(f"/proc/{one}/fd")]
                except PermissionError:  # not dumpable: root alone may look
                    assert os.getuid() != 0
                    print("  only root can look into", program_of(one))
                    continue
                assert str(secret) not in where, (program_of(one), where)
                # Nothing of the supervisor's.
                if one != pid:
                    assert not [w for w in where if w.endswith(
                        (".pid", "outpost.lock"))], where
        finally:
            os.close(fd)
            i.command("stop")
            process.wait(20)
            process.stdout.close()


def test_environment(folder):
    """OUTPOST_CONF from the caller's folder also in the background."""
    i = Instance(folder / "o")
    env = dict(os.environ, OUTPOST_CONF="outpost.conf")
    done = subprocess.run([outpost.BIN / "outpost", "start"], env=env,
                          cwd=i.folder, capture_output=True, timeout=30)
    assert done.returncode == 0, done
    i.command("stop")


def test_ignored_signals(folder):
    """A caller that ignores signals changes nothing for us."""
    def ignore():
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP,
                       signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    i = Instance(folder / "o")
    i.may_die = True
    i.process = subprocess.Popen(
        [outpost.BIN / "outpost", "run", "-c", i.conf],
        stdout=subprocess.PIPE, preexec_fn=ignore)
    try:
        assert b"ready" in i.process.stdout.readline()
        old = programs(i)["outpost-runner"]["pid"]
        os.kill(old, signal.SIGKILL)
        assert wait_until(lambda: programs(i)["outpost-runner"]["pid"]
                          not in (0, old), 5), i.text()
        i.process.terminate()
        assert i.process.wait(20) == 0
        i.process.stdout.close()
        i.process = None
    finally:
        if i.process:
            i.kill()


def test_reload_while_waiting(folder):
    """A program that waits for its restart is started once, or not at all."""
    with Instance(folder / "o") as i:
        i.may_die = True

        def smtpds():
            return i.pids("outpost-smtpd")

        def wait_for_pause(kills):
            """Kill it until the pause before the next start is long."""
            def is_waiting():
                return programs(i)["outpost-smtpd"]["state"] == "waiting"
            for _ in range(kills):
                assert wait_until(smtpds, 5)
                os.kill(smtpds()[0], signal.SIGKILL)
                assert wait_until(is_waiting, 5, 0.005)

        wait_for_pause(4)
        i.command("reload")
        time.sleep(1.2)
        assert len(smtpds()) == 1, smtpds()
        whole = i.conf.read_text()
        i.configure("")
        i.conf.write_text("\n".join(
            line for line in whole.splitlines()
            if not line.startswith("listen")) + "\n")
        wait_for_pause(1)
        i.command("reload")
        time.sleep(2)
        assert not smtpds(), i.text()


def test_reload_is_quick(folder):
    """A reload is no failure: who ends for another listener is there again
    without a pause that grows; nobody ends without a reason."""
    with Instance(folder / "o") as i:
        for n in range(5):
            old = i.pids("outpost-smtpd")
            i.configure(f'listen "unix:s{n}" {{ }}\n')
            i.command("reload")
            assert wait_until(lambda: i.pids("outpost-smtpd") not in
                              ([], old), 3)
            old = i.pids("outpost-smtpd")
            i.command("reload")
            assert i.pids("outpost-smtpd") == old
        assert wait_until(lambda: programs(i)["outpost-smtpd"]["state"] ==
                          "ready", 0.6, 0.01), i.text()


def test_stop_while_reloading(folder):
    """Who is ending for the reload is not killed for the stop."""
    for n in range(5):
        with Instance(folder / str(n)) as i:
            i.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "smtpd" in i.log().split("reloaded")[-1], 1,
                       0.001)


def test_folders_of_others(folder):
    """Folders that have other uses are not taken over or opened up."""
    i = Instance(folder / "o")
    other = folder / "other"
    other.mkdir()
    (other / "precious").write_text("x")
    os.chmod(other, 0o750)
    before = os.stat(other)
    i.base = i.base.replace('spool = "spool"', f'spool = "{other}"')
    i.configure("")
    done = i.command("run", check=False)
    assert done.returncode == 1 and "not empty" in done.stderr, done
    after = os.stat(other)
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
    assert os.listdir(other) == ["precious"]
    # A runtime folder that others can write to.
    i = Instance(folder / "p")
    run = i.folder / "run"
    run.mkdir()
    os.chmod(run, 0o1777)
    done = i.command("run", check=False)
    assert done.returncode == 1 and "runtime" in done.stderr, done
    assert os.stat(run).st_mode & 0o7777 == 0o1777
    # One that is closed to others stays so.
    os.chmod(run, 0o700)
    i.start()
    assert os.stat(run).st_mode & 0o7777 == 0o700
    i.stop()


def test_socket_paths(folder):
    """Only a socket is replaced by a socket."""
    i = Instance(folder / "o", listen=False)
    file = folder / "precious"
    file.write_text("x")
    i.configure(f'listen "unix:{file}" {{ }}\n')
    done = i.command("run", check=False)
    assert done.returncode == 1 and str(file) in done.stderr, done
    assert file.read_text() == "x"
    path = folder / "smtp.sock"
    i.configure(f'listen "unix:{path}" {{ }}\n')
    for _ in range(2):
        i.start()
        assert os.stat(path).st_mode & 0o7777 == 0o666
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(path))
            assert s.recv(100).startswith(b"220 ")
        i.kill()


def test_missing_certificate(folder):
    """No listener is left out in silence."""
    i = Instance(folder / "o", listen=False)
    with_tls = (f'listen "127.0.0.1:{i.port}" {{ tls = "starttls" '
                'certificate = "none.pem" key = "none.pem" }\n')
    i.configure(with_tls)
    done = i.command("run", check=False)
    assert done.returncode == 78 and "none.pem" in done.stderr, done
    # Nor does the reason stay in the log alone.
    (i.folder / "none.pem").write_text("no certificate")
    done = i.command("start", check=False)
    assert done.returncode == 78 and "none.pem" in done.stderr, done
    (i.folder / "none.pem").unlink()
    i.configure("")
    i.start()
    i.configure(with_tls)
    done = i.command("reload", check=False)
    assert done.returncode == 1 and "none.pem" in done.stderr, done
    i.stop()


def main():
    only = sys.argv[1:]
    failed = []
    for name, test in list(globals().items()):
        if not name.startswith("test_") or only and name not in only:
            continue
        start = time.monotonic()
        with Folder() as folder:
            try:
                test(folder)
            except Exception as error:  # the others are worth a run
                failed.append(name)
                print(f"{name}: {type(error).__name__}: {str(error)[:1500]}")
        print(f"{name} {time.monotonic() - start:.1f} s", flush=True)
    sys.exit(1 if failed else 0)


main()
