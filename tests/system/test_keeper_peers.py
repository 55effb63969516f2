"""Local peers that lie, stop half-way, hang or send junk to submit.sock and
queue.sock (hazard 10): each is refused or cut off, nothing of it is kept, and
everybody else is served meanwhile.
"""
import contextlib
import os
import pathlib
import random
import resource
import socket
import struct
import subprocess
import time

import peer
from outpost import Folder, Instance, REPO, wait_until
from peer import Peer, as_user, envelope, submit
from stage import frame

IS_ROOT = os.geteuid() == 0
SOCKETS = ("submit.sock", "queue.sock", "runner.sock", "outpost.sock")
PROGRAMS = ("outpost-queued", "outpost-runner", "outpost-smtpd",
            "outpost-resolve", "outpost-remote")


class Test:
    def __init__(self, folder):
        self.folder = folder
        self.outpost = Instance(folder / "a", "outbound = off\n").start()
        self.run = self.outpost.folder / "run"
        self.keeper, = self.outpost.pids("outpost-queued")
        self.before = self.pids()

    def pids(self):
        return {p: self.outpost.pids(p) for p in PROGRAMS}

    def submitter(self):
        return Peer(self.run / "submit.sock")

    def controller(self):
        return Peer(self.run / "queue.sock")

    def descriptors(self):
        """Of the keeper; only root may look at it."""
        return len(os.listdir(f"/proc/{self.keeper}/fd")) if IS_ROOT else 0

    def is_quiet(self, descriptors):
        """The keeper is rid of what a test has opened."""
        return wait_until(lambda: self.descriptors() <= descriptors)

    def check_alive(self):
        """All programs are the same as in the beginning, and serve."""
        assert self.pids() == self.before, self.outpost.text()
        with self.submitter() as good:
            submit(good)

    def recipients(self):
        return self.outpost.stats()["recipients"]

    # --- who is who ----------------------------------------------------------

    def test_forged_identity(self):
        """The kernel says who called, not the client."""
        uid = peer.STRANGER if IS_ROOT else os.getuid()

        def forge():
            with self.submitter() as bad:
                submit(bad, sender=b"forged@x.example", uid=0, login=b"root",
                       client=b"[192.0.2.1] x", origin=3, about=1,
                       refs=[(0, 0, 1)])
        if IS_ROOT:
            assert as_user(uid, forge) == 0
        else:
            forge()
        line, = wait_until(lambda: [
            l for l in self.outpost.log().splitlines()
            if "forged@x.example" in l])
        assert f"uid={uid}" in line and "origin=local" in line, line
        assert "client=" not in line and "about=" not in line, line

    def test_others_mail(self):
        """Strangers neither see nor change what is not theirs."""
        if not IS_ROOT:
            print("  as another user: skipped, needs root")
            return
        with self.submitter() as own:
            number = submit(own)

        def meddle():
            with self.controller() as c:
                for kind, payload in (
                        (peer.SHOW, struct.pack(">Q", number)),
                        (peer.GET_BODY, struct.pack(">Q", number)),
                        (peer.STATS, b""),
                        (peer.CHANGE, peer.change(4, number))):
                    c.send(kind, 1, payload)
                    c.expect(peer.FAILED)
                c.send(peer.CHANGE, 1, peer.change(6, number))
                assert c.expect(peer.CHANGE_DONE)[:4] == bytes(4)
                c.send(peer.LIST, 1, peer.list_query())
                while (got := c.receive())[0] == peer.ITEM:
                    owner, = struct.unpack_from(">I", got[2], 50)
                    assert owner == peer.STRANGER, owner
        assert as_user(peer.STRANGER, meddle) == 0
        assert self.outpost.queue("--limit", "1")

    # --- half of it ----------------------------------------------------------

    def test_half_messages(self):
        before, files = self.recipients(), self.descriptors()
        begin = frame(peer.SUBMIT, 1, envelope())
        large = frame(peer.DATA, 1, b"x" * 65536) * 4
        whole = begin + large
        cuts = [1, 15, 16, 17, len(begin) - 1, len(begin), len(begin) + 16,
                len(begin) + 70000, len(whole)]
        for cut in cuts:
            with self.submitter() as half:
                half.raw(whole[:cut])
        with self.submitter() as half:
            half.raw(whole + frame(peer.ABORT, 1))
            half.send(peer.END, 1, struct.pack(">Q", 4 * 65536))
            assert submit(half, 2)
        assert self.is_quiet(files)
        assert self.recipients() == before + 1
        assert not list((self.outpost.folder / "spool/large").iterdir())

    def test_wrong_total(self):
        before = self.recipients()
        with self.submitter() as bad:
            for total in (0, 1, (1 << 64) - 1, 1 << 63):
                bad.send(peer.SUBMIT, 7, envelope())
                bad.send(peer.DATA, 7, b"xy")
                bad.send(peer.END, 7, struct.pack(">Q", total))
                assert b"4.3.0" in bad.expect(peer.REFUSED)
            # to transactions that nobody began
            bad.send(peer.DATA, 8, b"xy")
            bad.send(peer.END, 9, struct.pack(">Q", 2))
            bad.send(peer.ABORT, 10)
            submit(bad, 11)
        assert self.recipients() == before + 1

    def test_hostile_envelopes(self):
        """Refused, or cut off when they do not parse: nothing is kept."""
        before = self.recipients()
        hostile = [
            envelope(to=()), envelope(to=(b"",)),
            envelope(to=(b"a@x.example\r\nRCPT TO:<c@d.example>",)),
            envelope(to=(b"a" * 1001,)), envelope(to=(b"a\0@x.example",)),
            envelope(sender=b"a@x.example>\nMAIL"),
            envelope(sender=b"a@x.example> SIZE=1"),
            envelope(head=b"X: y\r\nBcc: z"), envelope(tail=b"\0"),
            envelope(tail=b"; now\r\n\r\nbody"), envelope(head=b"\n"),
            envelope(head=b"x" * 9000), envelope(body=3), envelope(ret=3),
            envelope(origin=0), envelope(origin=9),
            envelope(line=b"x" * 256), envelope() + b"x",
            envelope()[:-1], b"", b"\xff" * 100,
            envelope(refs=[(0, 0, 9)]),
            envelope(to=(b"u@x.example",) * 50001)[:1 << 20],
        ]
        for number, payload in enumerate(hostile):
            with self.submitter() as bad:
                bad.send(peer.SUBMIT, 1, payload)
                bad.send(peer.DATA, 1, b"x\r\n")
                bad.send(peer.END, 1, struct.pack(">Q", 3))
                got = bad.receive()
                assert got is None or got[0] == peer.REFUSED, (number, got)
        assert self.recipients() == before

    # --- junk ----------------------------------------------------------------

    def test_junk(self):
        chance = random.Random(10)
        for name in SOCKETS:
            for _ in range(40):
                with Peer(self.run / name) as bad:
                    bad.raw(chance.randbytes(chance.randrange(1, 3000)))
            for kind in range(130):
                with Peer(self.run / name) as bad:
                    if name == "outpost.sock" and kind in (113, 114):
                        continue  # stop and reload: root may
                    if name != "submit.sock" and kind in (83, 115):
                        continue  # so are these
                    bad.send(kind, 1, chance.randbytes(chance.randrange(64)))
                    bad.send(kind, 1)
            with Peer(self.run / name) as bad:
                bad.raw(struct.pack(">HHIQ", 20, 0, 1 << 30, 1))
                assert bad.is_cut_off(), name
        self.check_alive()

    def test_junk_descriptors(self):
        """Nobody hands us descriptors here: they are not even taken."""
        files = self.descriptors()
        null = os.open("/dev/null", os.O_RDONLY)
        for name in SOCKETS[:2]:
            for count in (1, 4, 5, 200):
                with Peer(self.run / name) as bad:
                    bad.send(peer.LIST, 1, peer.list_query(), [null] * count)
                    bad.raw(b"\0", [null] * count)
                    assert bad.is_cut_off(), (name, count)
            with contextlib.ExitStack() as stack:
                # half frames with as many descriptors as they carry
                kind = peer.SUBMIT if name == "submit.sock" else peer.CHANGE
                for _ in range(100):
                    bad = stack.enter_context(Peer(self.run / name))
                    bad.raw(frame(kind, 1, b"x" * 4000, 4)[:100], [null] * 4)
                    for _ in range(15):
                        if not bad.raw(b"x", [null] * 4):
                            break
                self.check_alive()
                assert self.descriptors() < files + 150, self.descriptors()
        os.close(null)
        assert self.is_quiet(files)
        self.check_alive()

    # --- hanging -------------------------------------------------------------

    def test_many_connections(self):
        """One user's connections do not shut the others out."""
        files = self.descriptors()

        def hold(name, most):
            held = []
            with contextlib.suppress(OSError):
                for _ in range(most):
                    held.append(Peer(self.run / name))
                    held[-1].raw(b"\0\x14")
            return held
        if not IS_ROOT:
            print("  as another user: skipped, needs root")
            held = hold("queue.sock", 900)
            self.check_alive()
            for other in held:
                other.close()
            return
        ready, done = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            os.setgroups([])
            os.setgid(peer.STRANGER)
            os.setuid(peer.STRANGER)
            held = [hold(n, m) for n, m in zip(SOCKETS, (600, 600, 300, 300))]
            os.write(ready[1], b"%d" % len(held))
            os.read(done[0], 1)
            os._exit(0)
        try:
            os.read(ready[0], 10)
            started = time.monotonic()
            self.check_alive()
            assert self.outpost.queue("--limit", "1")
            states = {o["program"]: o.get("state")
                      for o in self.outpost.json("status")
                      if "program" in o}
            assert states["outpost-queued"] == "ready", states
            self.outpost.command("lines")
            self.outpost.command("outbound", "off")
            assert time.monotonic() - started < 10
        finally:
            os.write(done[1], b"x")
            os.waitpid(pid, 0)
            for fd in ready + done:
                os.close(fd)
        assert self.is_quiet(files)
        self.check_alive()

    def test_client_that_does_not_read(self):
        """Its answers are held back, not piled up."""
        def memory():
            status = pathlib.Path(f"/proc/{self.keeper}/status").read_text()
            return int(status.split("RssAnon:")[1].split()[0]) << 10
        with self.submitter() as one:
            for number in range(300):
                submit(one, number, text=b"x" * 60000)
        before = memory()
        with self.controller() as bad:
            bad.sock.setblocking(False)
            request = frame(peer.LIST, 1, peer.list_query())
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                try:
                    bad.sock.send(request * 100)
                except BlockingIOError:
                    time.sleep(0.02)
            self.check_alive()
            assert memory() - before < 16 << 20, (before, memory())
        self.check_alive()

    def stop(self):
        assert self.outpost.stop() == 0


def byte_by_byte(folder):
    """A byte a minute is no activity: the limit for idle clients holds. The
    clock of the programs runs 200 times as fast, so 10 minutes are 3 s."""
    clock = folder / "clock.so"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", clock,
                        REPO / "tests/system/clock.c"], check=True)
    except OSError:
        print("  skipped, needs a C compiler")
        return
    fast = {"LD_PRELOAD": str(clock), "CLOCK_FACTOR": "200"}
    os.environ.update(fast)
    outpost = Instance(folder / "b", "outbound = off\n")
    try:
        outpost.start()
    finally:
        for name in fast:
            del os.environ[name]
    with contextlib.ExitStack() as stack:
        stack.push(outpost)
        run = outpost.folder / "run"
        dripping = [stack.enter_context(Peer(run / name))
                    for name in SOCKETS[:2]]
        talking = stack.enter_context(Peer(run / "queue.sock"))
        text = frame(peer.SUBMIT, 1, envelope()), \
            frame(peer.SHOW, 1, bytes(8))
        started, at, ended = time.monotonic(), 0, {}
        while time.monotonic() - started < 8 and len(ended) < 2:
            for i, client in enumerate(dripping):
                if i not in ended and not client.raw(text[i][at:at + 1]):
                    ended[i] = time.monotonic() - started
            talking.send(peer.STATS, 1)
            talking.expect(peer.STATS_DONE)
            at += 1
            time.sleep(0.3)  # a minute
        assert len(ended) == 2 and min(ended.values()) > 2.4, ended
        assert "idle" in outpost.log()
        with Peer(run / "submit.sock") as good:
            submit(good)


def main():
    with Folder() as folder:
        test = Test(folder)
        try:
            for name in [n for n in dir(test) if n.startswith("test_")]:
                started = time.monotonic()
                print(name, flush=True)
                getattr(test, name)()
                test.check_alive()
                print(f"  {time.monotonic() - started:.1f} s", flush=True)
            test.stop()
        finally:
            if test.outpost.process:
                print(test.outpost.text())
                test.outpost.kill()
        print("byte_by_byte", flush=True)
        byte_by_byte(folder)


if __name__ == "__main__":
    main()
