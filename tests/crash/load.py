"""What the crash tests share: load with known numbers, and the reckoning."""
import re
import subprocess

from outpost import TOOLS


class Load:
    """smtp_load in rounds; numbers never repeat. Collects what was
    acknowledged."""

    def __init__(self, folder):
        self.folder = folder
        self.acknowledged = set()
        self.round = 0

    def start(self, port, messages, size=4096, sessions=8):
        self.round += 1
        self.ids = self.folder / f"ids{self.round}"
        self.process = subprocess.Popen(
            [TOOLS / "smtp_load", "--sessions", str(sessions), "--messages",
             str(messages), "--size", str(size), "--sender",
             f"round{self.round}@load.example", "--ids", self.ids,
             "127.0.0.1", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def finish(self, seconds=60):
        """Wait, and note the messages that got their 250."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for line in self.ids.read_text().splitlines():
            number, _, reply = line.partition(" ")
            if reply.startswith("250"):
                self.acknowledged.add((self.round, int(number)))


def arrived(messages):
    """{(round, number): copies} of what a receiver stored."""
    counts = {}
    for message in messages:
        number = re.search(rb"^X-Load: (\d+)", message, re.M)
        sender = re.search(rb"round(\d+)@load\.example", message)
        if not number or not sender:
            raise AssertionError(f"foreign message: {message[:300]!r}")
        key = (int(sender.group(1)), int(number.group(1)))
        counts[key] = counts.get(key, 0) + 1
    return counts


def reckon(load, messages, uncertain):
    """Print and check: nothing lost, copies within the uncertain ones."""
    counts = arrived(messages)
    lost = load.acknowledged - counts.keys()
    copies = sum(n - 1 for n in counts.values())
    print(f"acknowledged {len(load.acknowledged)}, arrived {len(counts)}, "
          f"lost {len(lost)}, second copies {copies}, "
          f"recorded uncertain {uncertain}")
    assert not lost, f"lost: {sorted(lost)[:10]}"
    assert copies <= uncertain, "copies that nobody recorded"
