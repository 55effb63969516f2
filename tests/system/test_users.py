"""Outpost as root with its users, in a mount namespace with a passwd and group
file of its own, so that the machine needs no change: who runs as whom, who
owns what, and what an ordinary user can and cannot do."""
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import time

import outpost
from outpost import Folder, Instance, Sink, program_of, skip, tree, \
    wait_until

USERS = {"outpost-in": 60031, "outpost-q": 60032, "outpost-run": 60033,
         "outpost-net": 60034, "alice": 60041, "bob": 60042}
RUNS_AS = {"outpost-queued": "outpost-q", "outpost-runner": "outpost-run",
           "outpost-resolve": "outpost-net", "outpost-remote": "outpost-net",
           "outpost-fetch": "outpost-net", "outpost-smtpd": "outpost-in"}
INSIDE = "OUTPOST_TEST_USERS"


def enter():
    """Start again inside the namespace; its exit status."""
    with Folder() as folder:
        for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:"
                                      "/usr/sbin/nologin\n"),
                           ("group", "{0}:x:{1}:\n")):
            text = "".join(
                one for one in open(f"/etc/{name}")
                if one.split(":")[0] not in USERS)
            text += "".join(line.format(*user) for user in USERS.items())
            (folder / name).write_text(text)
            os.chmod(folder / name, 0o644)
        script = ("mount --make-rprivate / && "
                  f"mount --bind {folder}/passwd /etc/passwd && "
                  f"mount --bind {folder}/group /etc/group && "
                  'exec "$@"')
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", sys.executable,
             *sys.argv], env=dict(os.environ, **{INSIDE: "1"})).returncode


def as_user(name):
    return {"user": USERS[name], "group": USERS[name], "extra_groups": [],
            "cwd": "/"}


def relay(sink):
    return ('mode = "relay"\nrelay "default" { servers = '
            f'{{ "smtp://127.0.0.1:{sink.port}" }} tls = "none" }}\n')


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def check_processes(instance):
    """Each program is its user with no other group, and nobody's child can
    change that."""
    seen = {}
    for pid in tree(instance.process.pid)[1:]:
        name = program_of(pid)
        # Lines and the spawner are one program; they name themselves.
        user = RUNS_AS.get(name, "outpost-net")
        status = status_of(pid)
        uid = str(USERS[user])
        assert status["Uid"].split() == [uid] * 4, (name, status["Uid"])
        assert status["Gid"].split() == [uid] * 4, (name, status["Gid"])
        assert status["Groups"].split() == [uid], (name, status["Groups"])
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        seen[name] = user
    assert set(RUNS_AS) <= set(seen), seen
    assert "user-missing" not in instance.log(), instance.text()


def check_files(instance):
    q = USERS["outpost-q"]
    spool = instance.folder / "spool"
    policy = spool / "policy"
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert stat.S_IMODE(policy.stat().st_mode) == 0o700
    assert (policy / "policies.mdb").stat().st_size > 0
    for path in (spool, *spool.rglob("*")):
        # The lock is the supervisor's, the policies the resolver's.
        owner = 0 if path.name == "outpost.lock" else \
            USERS["outpost-net"] if policy in (path, *path.parents) else q
        assert path.lstat().st_uid == owner, (path, path.lstat())
        assert not path.is_symlink()
    run = instance.folder / "run"
    assert run.stat().st_uid == 0
    assert stat.S_IMODE(run.stat().st_mode) == 0o755
    for path in run.iterdir():
        mode = path.lstat().st_mode
        assert path.lstat().st_uid == 0, path
        if not stat.S_ISSOCK(mode):
            assert stat.S_IMODE(mode) & 0o022 == 0, path
    log = (instance.folder / "log").stat()
    assert log.st_uid == 0 and stat.S_IMODE(log.st_mode) == 0o640


def check_descriptors(instance):
    """Nobody but the keeper has a file of the spool open, the resolver its
    policies; nobody holds the configuration, a lock or a folder."""
    spool = str(instance.folder / "spool")
    for pid in tree(instance.process.pid)[1:]:
        name = program_of(pid)
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                where = os.readlink(f"/proc/{pid}/fd/{number}")
            except FileNotFoundError:
                continue
            plain = where.startswith(("socket:", "pipe:", "anon_inode:",
                                      "/dev/null"))
            mine = where == str(instance.folder / "log") or \
                where == str(instance.folder / "stderr") or \
                (name == "outpost-queued" and where.startswith(spool) and
                 not where.endswith("outpost.lock")) or \
                (name == "outpost-resolve" and
                 where == spool + "/policy/policies.mdb")
            assert plain or mine, (name, number, where)


def test_mail(folder):
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", relay(sink)) as i:
        assert i.sendmail("Subject: a\n\nhello\n", "b@example.org",
                          **as_user("alice")).returncode == 0
        assert i.sendmail("Subject: b\n\n" + "large\n" * 100000,
                          "b@example.org",
                          **as_user("bob")).returncode == 0
        assert i.sendmail("Subject: c\n\nroot\n",
                          "b@example.org").returncode == 0
        sink.wait(3)
        text = b"".join(sink.messages())
        for name in ("alice", "bob"):
            assert f"from userid {USERS[name]})".encode() in text
            assert f"From: {name}@".encode() in text, text[:2000]
        i.wait_empty()
        check_processes(i)
        check_files(i)
        check_descriptors(i)
        # A restart takes over what it made itself.
        assert i.stop() == 0
        i.start()
        check_files(i)
        assert i.stats()["delivered"] == 3


def fails_for(name, *words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=20,
                          **as_user(name))
    assert done.returncode != 0, (words, done)
    return done.stderr


def test_privacy(folder):
    """An ordinary user sees and takes back his own mail, no more."""
    with Instance(folder / "o", "outbound = off\n") as i:
        for name in ("alice", "bob"):
            assert i.sendmail(f"Subject: secret of {name}\n\nx\n",
                              f"{name}s-friend@example.org",
                              **as_user(name)).returncode == 0
        mail = {m["recipient"].split("s-")[0]: m["id"] for m in i.queue()}
        assert set(mail) == {"alice", "bob"}
        tool = str(outpost.BIN / "outpost")

        def queue(name, *words, check=True):
            return i.command("queue", *words, check=check, **as_user(name))

        seen = [json.loads(line) for line in
                queue("alice", "list", "--json").stdout.splitlines()]
        assert [m["id"] for m in seen] == [mail["alice"]]
        assert "secret of alice" in \
            queue("alice", "show", "--headers", mail["alice"]).stdout
        for words in (("show", mail["bob"]), ("show", "--raw", mail["bob"]),
                      ("explain", mail["bob"])):
            done = queue("alice", *words, check=False)
            assert done.returncode == 1, done
            assert "secret of bob" not in done.stdout + done.stderr
        for words in (("hold", mail["bob"]), ("retry", mail["bob"]),
                      ("delete", "--yes", mail["alice"]),
                      ("retract", mail["bob"]),
                      ("retract", "--yes", "--sender", "*bob*"),
                      ("bounce", "--yes", "--recipient", "*")):
            queue("alice", *words, check=False)
            assert len(i.queue()) == 2, words
            assert {m["state"] for m in i.queue()} != {"held"}, words
        assert queue("alice", "stats", check=False).returncode != 0
        assert queue("alice", "retract", mail["alice"]).returncode == 0
        assert [m["id"] for m in i.queue()] == [mail["bob"]]
        # Past the programs: the files and what the processes hold.
        spool, run = i.folder / "spool", i.folder / "run"
        cat, ls = shutil.which("cat"), shutil.which("ls")
        fails_for("alice", ls, str(spool))
        fails_for("alice", ls, str(spool / "journal"))
        fails_for("alice", cat, str(i.folder / "log"))
        for pid in tree(i.process.pid):
            fails_for("alice", ls, f"/proc/{pid}/fd")
            fails_for("alice", cat, f"/proc/{pid}/environ")
            fails_for("alice", "/bin/kill", "-HUP", str(pid))
        for name in ("outpost.sock", "submit.sock", "outpost.pid"):
            fails_for("alice", shutil.which("rm"), "-f", str(run / name))
        # Nor can our own programs' users reach one another's.
        for user in ("outpost-in", "outpost-run", "outpost-net"):
            fails_for(user, ls, str(spool))
            for words in (("hold", mail["bob"]), ("stats",)):
                assert queue(user, *words, check=False).returncode != 0
            fails_for(user, tool, "-c", str(i.conf), "stop")
        assert [m["id"] for m in i.queue()] == [mail["bob"]]


def test_lock_out(folder):
    """Nobody keeps Outpost from starting by locking what he can read."""
    i = Instance(folder / "o")
    i.start()
    i.kill()
    sleep = shutil.which("sleep")
    holders = [subprocess.Popen(
        [shutil.which("flock"), "-s", str(i.folder / name), sleep, "30"],
        stderr=subprocess.DEVNULL, **as_user("alice"))
        for name in ("run", "run/outpost.pid", "run/outpost.lock", "spool",
                     "spool/outpost.lock", "log")]
    try:
        time.sleep(0.3)
        i.start()
        i.stop()
    finally:
        for holder in holders:
            for pid in reversed(tree(holder.pid)):
                if holder.poll() is None or pid != holder.pid:
                    os.kill(pid, 9)
            holder.wait()


def test_spoofed_uid(folder):
    """What a client says of itself in the envelope is not believed."""
    with Instance(folder / "o", "outbound = off\n") as i:
        stub = folder / "stub.so"
        source = folder / "stub.c"
        source.write_text("#include <unistd.h>\n"
                          "uid_t getuid(void) { return 0; }\n"
                          "uid_t geteuid(void) { return 0; }\n")
        built = subprocess.run(["cc", "-shared", "-fPIC", "-o", stub, source])
        if built.returncode:
            return
        env = dict(os.environ, OUTPOST_CONF=str(i.conf), LD_PRELOAD=str(stub))
        done = subprocess.run([outpost.BIN / "sendmail", "b@example.org"],
                              input=b"Subject: x\n\nx\n", env=env,
                              capture_output=True, **as_user("alice"))
        assert done.returncode == 0, done
        seen = i.command("queue", "list", "--json", **as_user("alice")).stdout
        assert len(seen.splitlines()) == 1, seen


def main():
    if os.geteuid() != 0:
        skip("needs root")
    if INSIDE not in os.environ:
        can = subprocess.run(["unshare", "-m", "true"], capture_output=True)
        if can.returncode:
            skip("needs a mount namespace")
        sys.exit(enter())
    only = sys.argv[1:]
    for name, test in list(globals().items()):
        if not name.startswith("test_") or only and name not in only:
            continue
        start = time.monotonic()
        with Folder() as folder:
            test(folder)
        print(f"{name} {time.monotonic() - start:.1f} s", flush=True)


main()
