"""sendmail by callers who give it little or too much (hazards 7 and 8), against
a real keeper: limits of CPU time, memory, file size and descriptors, no
arguments at all, two megabytes of them, and death while it writes. A message
is there whole or not at all, and the exit status says which.
"""
import os
import resource
import signal
import subprocess
import time

from outpost import BIN, Folder, Instance, wait_until

SENDMAIL = BIN / "sendmail"
# sysexits: usage, unavailable, system, temporary, configuration; 127: the
# dynamic linker had no memory
REFUSED = {64, 69, 71, 75, 78, 127}
TEXT = b"From: <me@x.example>\nSubject: x\n\n" + b"one line\n" * 20000


class Caller:
    def __init__(self, outpost):
        self.outpost = outpost
        self.env = dict(os.environ, OUTPOST_CONF=str(outpost.conf))
        self.known = set()

    def new(self):
        """Ids that have come into the queue since."""
        ids = {d["id"] for d in self.outpost.queue()}
        fresh, self.known = ids - self.known, ids
        return fresh

    def is_whole(self, number, text=TEXT):
        body = subprocess.run(
            [BIN / "outpost-queue", "show", "--raw", number, "-c",
             self.outpost.conf], capture_output=True, timeout=20,
            check=True).stdout
        return body.endswith(text.partition(b"\n\n")[2].replace(
            b"\n", b"\r\n"))

    def run(self, words=("-i", "a@b.example"), text=TEXT, limits=(),
            **options):
        def limit():
            for which, value in limits:
                resource.setrlimit(which, (value, value))
        done = subprocess.run(
            [SENDMAIL, *words], input=text, capture_output=True,
            env=self.env, preexec_fn=limit, timeout=60, **options)
        fresh = self.new()
        assert len(fresh) == (done.returncode == 0), (limits, done, fresh)
        assert all(self.is_whole(i, text) for i in fresh), limits
        return done


def test_limits(caller):
    for which, values in (
            (resource.RLIMIT_FSIZE, (0, 1, 100)),
            (resource.RLIMIT_NOFILE, (0, 1, 2, 3, 4, 5, 8)),
            (resource.RLIMIT_AS, range(1 << 20, 32 << 20, 1 << 20)),
            (resource.RLIMIT_DATA, range(0, 8 << 20, 512 << 10)),
            (resource.RLIMIT_STACK, (16 << 10, 64 << 10, 256 << 10))):
        seen = []
        for value in values:
            done = caller.run(limits=[(which, value)])
            seen.append(done.returncode)
            # below what the kernel and the linker need nothing of ours runs
            assert done.returncode in REFUSED | {0, -signal.SIGKILL,
                                                 -signal.SIGSEGV}, done
            assert done.returncode not in REFUSED or done.stderr, done
        print(f"  {which}: {seen}", flush=True)
        assert seen[-1] == 0, seen


def test_cpu(caller):
    """Out of CPU time while it reads: killed, and nothing is queued."""
    done = caller.run(limits=[(resource.RLIMIT_CPU, 0)])
    assert done.returncode in (0, -signal.SIGKILL, -signal.SIGXCPU), done

    def use_up():
        while time.process_time() < 0.98:
            pass
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    process = subprocess.Popen([SENDMAIL, "-i", "a@b.example"],
                               stdin=subprocess.PIPE, env=caller.env,
                               stderr=subprocess.DEVNULL, preexec_fn=use_up)
    try:
        process.stdin.write(b"\n")
        while process.poll() is None:
            process.stdin.write(b"\r" * 65536)
    except BrokenPipeError:
        pass
    try:
        process.stdin.close()
    except BrokenPipeError:
        pass
    status = process.wait(30)
    print(f"  ended with {status}", flush=True)
    # on a fast machine the limit of 50 MB comes first
    assert status in (-signal.SIGKILL, -signal.SIGXCPU, 69), status
    assert not caller.new()


def test_arguments(caller):
    """argc 0 (the kernel makes it one empty argument since 5.18); 2 MB."""
    done = subprocess.run(
        ["python3", "-c",
         "import ctypes, sys\n"
         "c = ctypes.CDLL(None, use_errno=True)\n"
         "e = (ctypes.c_char_p * 2)(sys.argv[2].encode(), None)\n"
         "c.execve(sys.argv[1].encode(), (ctypes.c_char_p * 1)(None), e)\n"
         "sys.exit(99)\n", SENDMAIL, f"OUTPOST_CONF={caller.outpost.conf}"],
        input=TEXT, capture_output=True, timeout=30)
    assert done.returncode == 64 and b"no recipients" in done.stderr, done
    assert not caller.new()
    many = [f"u{i}@b.example" for i in range(50000)]
    done = caller.run(["-i", *many])
    assert done.returncode == 69 and b"recipients" in done.stderr, done
    done = caller.run(["-i", *["-v"] * 150000, "a@b.example"])
    assert done.returncode == 0, done
    long = "x" * 120000  # the kernel's limit for one is 128 KiB
    for words in ([long], ["-f", long, "a@b.example"], ["-F", long, "a@b.c"],
                  ["-V", long, "a@b.example"], ["--", *[long] * 15]):
        done = caller.run(["-i", *words])
        assert done.returncode in (0, 64, 65), done.returncode
        assert len(done.stderr) < 2000, len(done.stderr)


def test_killed(caller):
    """SIGKILL after so many bytes were written to it: never half a message."""
    total = 3 << 20
    text = b"Subject: x\n\n" + b"y" * 71 + b"\n"
    text += b"z" * 71 + b"\n" * (total - len(text))
    for at in (0, 10, 1000, 65536, 1 << 20, (1 << 20) + 1, 2 << 20, total):
        process = subprocess.Popen([SENDMAIL, "-i", "a@b.example"],
                                   stdin=subprocess.PIPE, env=caller.env)
        process.stdin.write(text[:at])
        process.stdin.flush()
        process.kill()
        process.wait()
        process.stdin.close()
        assert not caller.new(), at
    # and at the end: acknowledged or not, it is whole
    for _ in range(10):
        process = subprocess.Popen([SENDMAIL, "-i", "a@b.example"],
                                   stdin=subprocess.PIPE, env=caller.env)
        process.stdin.write(TEXT)
        process.stdin.close()
        process.kill()
        status = process.wait()
        fresh = caller.new()
        assert len(fresh) <= 1 and all(caller.is_whole(i) for i in fresh)
        assert status != 0 or fresh
    # the keeper has forgotten what was not finished
    assert wait_until(lambda: caller.run().returncode == 0)
    left = list((caller.outpost.folder / "spool/large").iterdir())
    assert not [p for p in left if p.name.startswith("tmp-")], left


def test_disk_signals(caller):
    """A full standard output or error changes nothing."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([SENDMAIL, "-v", "-i", "a@b.example"],
                              input=TEXT, stdout=full, stderr=full,
                              env=caller.env, timeout=20)
    assert done.returncode == 0 and len(caller.new()) == 1


def main():
    with Folder() as folder, Instance(folder / "a", "outbound = off\n",
                                      listen=False) as outpost:
        caller = Caller(outpost)
        for test in (test_limits, test_cpu, test_arguments, test_killed,
                     test_disk_signals):
            test(caller)
            print("ok", test.__name__, flush=True)


if __name__ == "__main__":
    main()
