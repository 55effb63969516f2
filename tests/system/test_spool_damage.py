"""A spool damaged while Outpost is down (hazards 24 and 25): the index torn,
flipped, cut short, old or gone; the journal flipped in the middle and at its
end; large bodies missing, longer, shorter or replaced. "queue verify" reports
it and changes nothing, the keeper starts, and everything else is intact.
"""
import hashlib
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess

from outpost import BIN, Folder, Instance, Sink, wait_until

SMALL, LARGE = 8, 2
CONF = "limits { spool-size = 64M }\n"  # small segments
LARGE_BYTES = 400000
DEATHS_MAX = 2  # of the keeper, before it has to be well again


def text(number, size):
    return (f"Subject: message {number}\n\n" + "x" * 60 + "\n"
            ) .encode() + (b"%07d\n" % number) * (size // 8)


class Spool:
    """A spool filled once, and put back as it was for each scene. The folder
    stays the same, so that an index left by a killed keeper is trusted."""

    def __init__(self, folder, is_clean):
        self.original = folder / "original"
        self.outpost = Instance(folder / "a", CONF + "outbound = off\n",
                                listen=False)
        self.outpost.may_die = True
        self.path = self.outpost.folder / "spool"
        self.ids = []
        with self.outpost as outpost:
            for i in range(SMALL + LARGE):
                done = outpost.sendmail(
                    text(i, 3000 if i < SMALL else LARGE_BYTES), "-v", "-i",
                    f"u{i}@d{i % 4}.example")
                assert done.returncode == 0, done
                self.ids.append(done.stdout.decode().split()[-1])
            self.large = self.ids[SMALL:]
            self.bodies = {i: self.body(i) for i in self.ids}
            if is_clean:
                assert outpost.stop() == 0
            else:
                # first of all, or it would find time to close the spool
                os.kill(outpost.pids("outpost-queued")[0], signal.SIGKILL)
                outpost.kill()
        subprocess.run(["cp", "-a", self.path, self.original], check=True)

    def body(self, number):
        """The sum of a message's bytes, None when it cannot be read."""
        done = subprocess.run(
            [BIN / "outpost-queue", "show", "--raw", number, "-c",
             self.outpost.conf], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=20)
        return hashlib.sha256(done.stdout).hexdigest() \
            if done.returncode == 0 else None

    def restore(self):
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        subprocess.run(["cp", "-a", f"{self.original}/.", self.path],
                       check=True)
        for name in ("log", "stderr"):
            (self.outpost.folder / name).unlink(missing_ok=True)

    def verify(self):
        """Its exit status and lines; it changes nothing."""
        before = contents(self.path)
        done = self.outpost.command("queue", "verify", check=False)
        assert contents(self.path) == before, "verify changed something"
        assert done.returncode in (0, 1), done
        return done.returncode, done.stdout + done.stderr

    def start(self):
        """Started, and the keeper well again after a few deaths at most."""
        self.outpost.start(10)
        assert wait_until(lambda: self.outpost.command(
            "queue", "stats", check=False).returncode == 0, 10)
        deaths = self.outpost.log().count("child-died")
        assert deaths <= DEATHS_MAX, self.outpost.text()
        return deaths

    def check_others(self, lost=(), gap=None):
        """All but the lost ones are in the queue with their bytes, the sums
        tell what is lost, and new mail is taken."""
        queue = {d["id"] for d in self.outpost.queue()}
        kept = set(self.ids) - set(lost)
        assert kept <= queue, (kept - queue, self.outpost.text())
        for number in kept:
            assert self.body(number) == self.bodies[number], number
        for number in lost:
            assert self.body(number) is None, number
        # one recipient each: what is missing is missing in the sums
        stats = self.outpost.stats()
        missing = stats["accepted"] - stats["delivered"] - \
            stats["failed"] - stats["retracted"] - stats["recipients"]
        assert missing == (len(set(lost) - queue) if gap is None else gap), \
            stats
        done = self.outpost.sendmail("x\n", "new@d.example")
        assert done.returncode == 0, done

    def scene(self, name, damage, lost=(), is_sound_after=True, gap=None,
              is_reported=True):
        """Damage it, verify, start, look at everything, stop, verify."""
        self.restore()
        damage()
        try:
            status, out = self.verify()
            assert status == is_reported, out
            deaths = self.start()
            self.check_others(lost, gap)
            assert self.outpost.stop() == 0
            status, after = self.verify()
            assert status == (0 if is_sound_after else 1), after
        except BaseException:
            print(f"  {name}:\n{self.outpost.text()}")
            self.outpost.kill()
            raise
        first = out.strip().splitlines()[0]
        print(f"  {name} ({deaths} deaths): {first}", flush=True)


def contents(folder):
    """Of all files but LMDB's table of readers, and their times."""
    return {str(f.relative_to(folder)): (f.stat().st_mtime_ns,
                                         hashlib.sha256(f.read_bytes())
                                         .digest())
            for f in sorted(folder.rglob("*"))
            if f.is_file() and f.name != "lock.mdb"}


def flip(path, at, bits=1):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bits]))


# --- the index ---------------------------------------------------------------

def index_scenes():
    def whole(change):
        def damage(path):
            data = bytearray(path.read_bytes())
            path.write_bytes(change(data) or data)
        return damage

    def meta(offset, value):
        def change(data):
            for page in (0, 4096):
                data[page + offset:page + offset + len(value)] = value
        return whole(change)
    yield "removed", lambda p: p.unlink()
    yield "folder removed", lambda p: shutil.rmtree(p.parent)
    yield "empty", lambda p: os.truncate(p, 0)
    for size in (1, 100, 4096, 8192, 12288, 20000):
        yield f"cut at {size}", lambda p, s=size: os.truncate(p, s)
    yield "last page gone", lambda p: os.truncate(
        p, (p.stat().st_size - 1) // 4096 * 4096)
    yield "half of it", lambda p: os.truncate(p, p.stat().st_size // 2)
    yield "noise", whole(lambda d: random.Random(1).randbytes(len(d)))
    yield "zeros", whole(lambda d: bytes(len(d)))
    yield "text", lambda p: p.write_text("hello\n" * 10000)
    yield "no magic", meta(16, b"\0\0\0\0")
    yield "another LMDB", meta(20, b"\2\0\0\0")
    yield "other byte order", meta(16, b"\xbe\xef\xc0\xde")
    yield "one meta page", whole(
        lambda d: d.__setitem__(slice(0, 4096), bytes(4096)))
    yield "table of readers", lambda p: p.with_name("lock.mdb").write_bytes(
        random.Random(2).randbytes(8192))
    for seed in range(7):
        def bits(data, chance=random.Random(seed)):
            for _ in range(20):
                data[chance.randrange(8192, len(data))] ^= \
                    1 << chance.randrange(8)
        yield f"flipped bits {seed}", whole(bits)
    for seed in range(4):
        def pages(data, chance=random.Random(seed)):
            for _ in range(3):
                at = chance.randrange(2, len(data) // 4096) * 4096
                data[at:at + 4096] = chance.choice(
                    (bytes(4096), chance.randbytes(4096)))
        yield f"lost pages {seed}", whole(pages)


def damaged_index_closed(folder):
    """Closed cleanly, it has a sum: whatever is changed is noticed, and the
    index made anew."""
    spool = Spool(folder, is_clean=True)
    for name, damage in index_scenes():
        spool.scene(f"index {name}",
                    lambda: damage(spool.path / "index/data.mdb"),
                    is_reported=name != "table of readers")


def damaged_index_killed(folder):
    """Left by a killed keeper on the same boot there is no sum. What LMDB
    notices or dies of makes the index anew; what it does not notice, verify
    reports, and nothing is lost: without the index all is back."""
    spool = Spool(folder, is_clean=False)
    index = spool.path / "index"
    for name, damage in index_scenes():
        spool.restore()
        damage(index / "data.mdb")
        _, out = spool.verify()
        deaths = spool.start()
        how = "all there"
        try:
            spool.check_others()
        except (AssertionError, RuntimeError):
            how = "index thrown away by hand"
            spool.outpost.kill()
            status, out = spool.verify()
            assert status == 1, out
            shutil.rmtree(index)
            spool.start()
            spool.check_others()
        finally:
            spool.outpost.kill()
        first = out.strip().splitlines()[0]
        print(f"  index {name}: {how}, {deaths} deaths, {first}", flush=True)


# --- the journal -------------------------------------------------------------

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MESSAGE = 2


def id_number(word):
    value = 0
    for c in word:
        value = value << 5 | ALPHABET.index(c)
    return value


class Journal:
    """Where the records of messages are (queue/record.h)."""

    def __init__(self, spool):
        self.path, = (spool.path / "journal").glob("*.seg")
        data = self.path.read_bytes()
        self.places, self.end = {}, 0
        at = data.find(b"\x89OUT")
        while at >= 0:
            kind, = struct.unpack_from(">B", data, at + 4)
            size, _, message = struct.unpack_from(">IIQ", data, at + 8)
            if kind == MESSAGE:
                self.places[message] = (at, size)
            self.end = max(self.end, at + size)
            at = data.find(b"\x89OUT", at + 8)

    def flip(self, word, offset):
        """In the record of that message; offset may count from its end."""
        at, size = self.places[id_number(word)]
        flip(self.path, at + (offset if offset >= 0 else size + offset))


def without_index(spool, damage):
    """As after the loss of the machine: only the journal knows."""
    shutil.rmtree(spool.path / "index")
    damage()


def damaged_journal(folder):
    spool = Spool(folder, is_clean=True)
    journal = Journal(spool)
    first, middle, last = spool.ids[0], spool.ids[4], spool.ids[-1]
    for name, word, offset in (
            ("body of the first", first, -30), ("magic of one", middle, 0),
            ("head of one", middle, 9), ("envelope of one", middle, 60),
            ("body of one", middle, -1)):
        spool.scene(f"journal: {name}",
                    lambda: journal.flip(word, offset), [word], False)
        spool.scene(f"journal: {name}, no index", lambda: without_index(
            spool, lambda: journal.flip(word, offset)), [word], False)
        assert "spool-damage" in spool.outpost.log()
    # The body of a message whose record is lost is kept for salvage.
    spool.scene("journal: a large one's, no index", lambda: without_index(
        spool, lambda: journal.flip(spool.large[0], 60)), spool.large[:1],
        False)
    assert (spool.path / "large" / spool.large[0]).exists()
    # Its last batch looks like one that was not finished: cut off, and said.
    spool.scene("journal: end of the last", lambda: journal.flip(last, -1),
                [last], False)
    spool.scene("journal: end of the last, no index", lambda: without_index(
        spool, lambda: journal.flip(last, -1)), [last], True, gap=0)
    assert "not whole: cut off" in spool.outpost.log()
    # One copy of the header is enough.
    for at in (3, 8, 20, 4096 + 3, 4096 + 8, 4096 + 20):
        spool.scene(f"journal: header at {at}", lambda: without_index(
            spool, lambda: flip(journal.path, at)))
    # Cut short: what stands before the cut is there.
    place, _ = journal.places[id_number(last)]
    spool.scene("journal: cut short", lambda: os.truncate(
        journal.path, place + 10), [last], True, gap=0)
    spool.scene("journal: cut short, no index", lambda: without_index(
        spool, lambda: os.truncate(journal.path, place + 10)), [last], True,
        gap=0)
    assert "shorter" in spool.outpost.log()


def refused(spool, name, damage, words):
    """The keeper does not start, says why, and changes nothing. Put right, all
    is there."""
    spool.restore()
    damage()
    before = contents(spool.path)
    for changes in ("index/clean", "outpost.lock"):
        before.pop(changes)
    try:
        spool.outpost.start(2)
        raise AssertionError(f"{name}: started")
    except RuntimeError:
        pass
    assert words in spool.outpost.log(), spool.outpost.text()
    after = contents(spool.path)
    assert before.items() <= after.items(), before.keys() - after.keys()
    print(f"  {name}: refused", flush=True)


def lost_journal(folder):
    """Without its journal the rest of a spool is not a new spool."""
    spool = Spool(folder, is_clean=True)
    journal = Journal(spool)

    def both(offset, value):
        with open(journal.path, "r+b") as file:
            for copy in (0, 4096):
                file.seek(copy + offset)
                file.write(value)
    refused(spool, "journal newer", lambda: both(8, b"\0\0\0\2"),
            "newer Outpost")
    refused(spool, "journal removed", journal.path.unlink,
            "the journal is gone")
    refused(spool, "journal folder removed", lambda: shutil.rmtree(
        journal.path.parent), "the journal is gone")
    # Its only segment cannot be read: it is put aside for salvage with its
    # large bodies, and a new one begun.
    spool.scene("both headers", lambda: both(0, bytes(8)), spool.ids, True,
                gap=0)
    assert "spool-segment-unreadable" in spool.outpost.log()
    assert (spool.path / "journal/00000001.bad").exists()
    for number in spool.large:
        assert (spool.path / "large" / number).exists(), number


# --- large bodies ------------------------------------------------------------

def large_bodies(folder):
    """Missing, longer, shorter or replaced: reported, and not delivered; the
    others are delivered, byte for byte."""
    spool = Spool(folder, is_clean=True)
    large = spool.path / "large"
    one, two = spool.large

    def write(name, data):
        (large / name).write_bytes(data)

    def swap():
        (large / one).rename(large / "x")
        (large / two).rename(large / one)
        (large / "x").rename(large / two)
    was = (large / one).read_bytes()
    for name, damage, bad in (
            ("missing", (large / one).unlink, [one]),
            ("longer", lambda: write(one, was + b"x"), [one]),
            ("shorter", lambda: write(one, was[:-1]), [one]),
            ("empty", lambda: write(one, b""), [one]),
            ("a folder", lambda: (
                (large / one).unlink(), (large / one).mkdir()), [one]),
            ("swapped", swap, [one, two]),
            ("replaced", lambda: write(one, bytes(len(was))), [one])):
        spool.restore()
        damage()
        status, out = spool.verify()
        assert status == 1 and all(b in out for b in bad), out
        print(f"  large body {name}: {out.splitlines()[0]}", flush=True)
    # What has the right size is noticed by verify alone, so these two last.
    for name, damage in (("missing", (large / one).unlink),
                         ("shorter", lambda: write(one, was[:-1]))):
        spool.restore()
        damage()
        delivery(spool, [one], folder)


def delivery(spool, bad, folder):
    """Everything but the bad ones arrives; those wait, with the reason."""
    with Sink(folder / "sink") as sink:
        spool.outpost.configure(
            CONF + f'route "*.example" {{ servers = {{ "smtp://127.0.0.1:'
            f'{sink.port}" }} }}\n')
        with spool.outpost as outpost:
            assert wait_until(lambda: [d["id"] for d in outpost.queue()]
                              == bad, 20), (outpost.queue(), outpost.text())
            item, = outpost.queue()
            assert item["state"] == "deferred" and \
                item["cause"] == "spool", item
            assert "cannot read the message" in item["reply"], item
            assert "body-unreadable" in outpost.log()
            stats = outpost.stats()
            assert stats["delivered"] == SMALL + LARGE - len(bad), stats
            # it can be got rid of
            outpost.command("queue", "delete", bad[0], "--yes")
            assert not outpost.queue()
        def bodies(messages):
            return sorted(m.partition(b"\r\n\r\n")[2] for m in messages)
        assert bodies(sink.messages()) == bodies(
            text(i, 3000 if i < SMALL else LARGE_BYTES)
            .replace(b"\n", b"\r\n")
            for i, number in enumerate(spool.ids) if number not in bad)
    shutil.rmtree(folder / "sink")
    spool.outpost.configure(CONF + "outbound = off\n")


def entries_without_the_other(folder):
    """A body that no record names, a record whose body is gone."""
    spool = Spool(folder, is_clean=False)
    orphan = spool.path / "large" / "6C3AX389CVC00"

    def plant():
        orphan.write_bytes(b"x")
        (spool.path / "large" / "tmp-6C3AX389CVC00").write_bytes(b"x")
        (spool.path / "large" / "strange").write_bytes(b"x")
    spool.restore()
    plant()
    spool.start()
    spool.check_others()
    left = {f.name for f in orphan.parent.iterdir()} - set(spool.large)
    assert left == {"strange"}, left
    assert spool.outpost.stop() == 0


def main():
    for scenes in (damaged_index_closed, damaged_index_killed,
                   damaged_journal, lost_journal, large_bodies,
                   entries_without_the_other):
        print(scenes.__name__, flush=True)
        with Folder() as folder:
            scenes(folder)


if __name__ == "__main__":
    main()
