"""Allocations that fail (hazard 30): each one of sendmail in turn, alone and
with all behind it; then one in many in every program while mail flows. Nothing
crashes, what was acknowledged is there whole, and nothing else is.
"""
import json
import os
import re
import subprocess
import time

from load import Load, reckon
from outpost import BIN, REPO, Folder, Instance, Sink, wait_until

FAILS = b"an allocation fails\n"
TEXT = b"From: <me@x.example>\nTo: a@b.example, C (d) <c@d.example>\n" \
    b"Date: Sun, 22 Nov 2026 05:22:49 +0000\nMessage-ID: <1@x.example>\n\n" \
    + b"one line\n" * 5000
TRACE = re.compile(rb"Received: by test\.outpost\.example \(Outpost, from "
                   rb"userid \d+\)\r\n\tid (\w+);\r\n\t[^\r\n]+\r\n")
# one in so many: what is short of memory gets little done
ODDS = {"outpost-queued": 1000, "outpost-runner": 50, "outpost-remote": 400,
        "outpost-smtpd": 50}
MAX = 10


def build(folder):
    shim = folder / "alloc.so"
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-shared", "-fPIC",
                    "-O1", "-o", shim, REPO / "tests/alloc.c"], check=True)
    os.chmod(shim, 0o755)
    return shim


class Sendmail:
    def __init__(self, outpost, shim):
        self.outpost, self.shim = outpost, shim
        self.acknowledged = set()
        self.statuses = {}

    def run(self, *words, **env):
        return subprocess.run(
            [BIN / "sendmail", *words], input=TEXT, capture_output=True,
            env=dict(os.environ, OUTPOST_CONF=str(self.outpost.conf),
                     LD_PRELOAD=str(self.shim), **env), timeout=30)

    def count(self, *words):
        """Allocations of a run in which none fails."""
        done = self.run(*words, ALLOC_COUNT="1")
        return int(re.search(rb"(\d+) allocations", done.stderr)[1])

    def fail(self, n, goes_on):
        """One run, and what it said."""
        done = self.run("-t", "-i", "-v", "-f", "me@x.example",
                        ALLOC_FAIL=f"{n}{'+' if goes_on else ''}")
        if done.returncode == 0:
            self.acknowledged.update(done.stdout.decode().split())
        said = done.stderr.replace(FAILS, b"")
        self.statuses[done.returncode] = \
            self.statuses.get(done.returncode, 0) + 1
        return done, said


def raw(outpost, number):
    return subprocess.run(
        [BIN / "outpost-queue", "show", "--raw", number, "-c", outpost.conf],
        capture_output=True, timeout=20, check=True).stdout


def sendmail(folder):
    with Instance(folder / "a", "outbound = off\n", listen=False) as outpost:
        s = Sendmail(outpost, build(folder))
        first = s.count("-i")  # ends behind the configuration: no recipients
        last = s.count("-t", "-i", "-f", "me@x.example")
        assert 0 < first < last, (first, last)
        s.acknowledged = {d["id"] for d in outpost.queue()}
        for goes_on in (False, True):
            for n in range(1, last + 5):
                done, said = s.fail(n, goes_on)
                if n > first:  # libconfuse ends a program as it likes
                    assert done.returncode in (0, 75), (n, done)
                    assert done.returncode == 0 or said.startswith(
                        b"sendmail: "), (n, done)
        queued = {d["id"] for d in outpost.queue()}
        print(f"  {first} allocations for the configuration, {last} in all; "
              f"exit statuses {s.statuses}", flush=True)
        assert s.statuses[75] > 20 and len(queued) > 5, s.statuses
        # written before it could be printed: known, but not by its id
        assert s.acknowledged <= queued, s.acknowledged - queued
        assert len(queued) == s.statuses[0] + 1, (len(queued), s.statuses)
        for number in queued:
            text = raw(outpost, number)
            head = TRACE.match(text)
            assert head and head[1].decode() == number, text[:200]
            assert text[head.end():] == TEXT.replace(b"\n", b"\r\n")


def answer(outpost, what):
    """The objects of a queue command; None: the keeper had no memory."""
    done = outpost.command("queue", what, "--json", check=False)
    return None if done.returncode else \
        [json.loads(line) for line in done.stdout.splitlines()]


def is_empty(outpost):
    """What could not be read for want of memory waits an hour by itself."""
    outpost.command("queue", "retry", "--older", "0s", "--yes",
                    check=False)
    return answer(outpost, "list") == []


def everywhere(folder, program):
    """One in ODDS fails in this program, from when it is up and running until
    MAX have failed."""
    shim = build(folder)
    place = folder / program
    place.mkdir()
    with Sink(place / "sink") as sink:
        load = Load(place)
        outpost = Instance(place / "a", 'route "*.example" { servers = '
                           f'{{ "smtp://127.0.0.1:{sink.port}" }} }}\n'
                           "retry { wait = 1s  factor = 1  max-wait = 1s }\n"
                           'line "default" { count = 4 }\n')
        outpost.may_die = True
        os.environ.update(LD_PRELOAD=str(shim), ALLOC_IN=program,
                          ALLOC_ODDS=str(ODDS[program]), ALLOC_MAX=str(MAX))
        try:
            outpost.start()
        finally:
            for name in ("LD_PRELOAD", "ALLOC_IN", "ALLOC_ODDS",
                         "ALLOC_MAX"):
                os.environ.pop(name)
        for _ in range(20):  # sessions end early when memory is short
            load.start(outpost.port, 300)
            load.finish(30)
            if len(load.acknowledged) >= 600:
                break
            time.sleep(0.2)
        assert wait_until(lambda: is_empty(outpost), 60, 0.2), outpost.text()
        stats = wait_until(lambda: answer(outpost, "stats"))[0]
        outpost.stop()
        failures = (outpost.folder / "stderr").read_bytes().count(FAILS)
        deaths = outpost.deaths()
        print(f"  {failures} failed, {len(deaths)} deaths, {stats}",
              flush=True)
        reckon(load, sink.messages(), stats["uncertain"])
        assert failures > 0 and load.acknowledged
        assert not [d for d in deaths if "signal" in d], deaths
        assert stats["accepted"] == stats["delivered"], stats


def main():
    with Folder() as folder:
        began = time.monotonic()
        sendmail(folder)
        print(f"ok sendmail {time.monotonic() - began:.1f} s", flush=True)
        for program in ODDS:
            began = time.monotonic()
            print(program, flush=True)
            everywhere(folder, program)
            print(f"ok {program} {time.monotonic() - began:.1f} s",
                  flush=True)


if __name__ == "__main__":
    main()
