"""Operators against each other and against the lines (hazard 28): whatever they
do at once, each recipient has exactly one fate, what was taken back was not
sent, and the sums add up; also when the keeper dies in the middle of it.
"""
import os
import random
import re
import signal
import struct
import threading
import time

import peer
from outpost import Folder, Instance, wait_until
from peer import Peer, submit
from scripted import Answer, Stage

HOLD, RELEASE, RETRY, DELETE, BOUNCE, RETRACT = range(1, 7)
ENDS = {DELETE, BOUNCE, RETRACT}
MESSAGES = 250
CONF = '''
postmaster = "postmaster@reports.example"
retry {{ wait = 1s  factor = 1  max-wait = 1s  jitter = 0% }}
line "default" {{ count = 6 }}
limits {{ destination-connections = 6 }}
{routes}
'''


class Operator(threading.Thread):
    """Changes messages at random, many requests at once on one connection.
    done: {message: [actions that changed something]}"""

    def __init__(self, path, seed, actions):
        super().__init__()
        self.chance, self.actions = random.Random(seed), actions
        self.path, self.ids, self.is_over = path, [], threading.Event()
        self.done, self.requests = {}, 0
        self.start()

    def run(self):
        while not self.is_over.is_set():
            if not self.ids:
                time.sleep(0.001)
                continue
            try:
                with Peer(self.path) as control:
                    self.ask(control)
            except (OSError, AssertionError):
                time.sleep(0.05)  # the keeper is being started again

    def ask(self, control):
        while not self.is_over.is_set():
            asked = {}
            for number in range(1, 6):
                # preferably of the latest
                at = -self.chance.randint(1, min(20, len(self.ids)))
                message = self.ids[at]
                action = self.chance.choice(self.actions)
                asked[number] = message, action
                control.send(peer.CHANGE, number,
                             peer.change(action, message))
            for _ in asked:
                number, payload = control.skip_to(peer.CHANGE_DONE)
                message, action = asked[number]
                self.requests += 1
                if struct.unpack_from(">I", payload)[0]:
                    self.done.setdefault(message, []).append(action)
            time.sleep(0.002)


class World:
    def __init__(self, folder, script):
        self.stage = Stage()
        self.hosts = [self.stage.host(f"127.0.8.{n}", script)
                      for n in range(1, 4)]
        self.reports = self.stage.host("127.0.8.9")
        routes = "".join(
            f'route "{name}.example" {{ servers = '
            f'{{ "smtp://127.0.8.{n}:{self.stage.port}" }} }}\n'
            for name, n in (("a", 1), ("b", 2), ("c", 3), ("reports", 9)))
        self.outpost = Instance(folder / "o", CONF.format(routes=routes),
                                listen=False)
        self.run = self.outpost.folder / "run"
        self.ids, self.acted = [], {}

    def arrived(self):
        """{(number of the message, domain): copies}"""
        found = {}
        for host in self.hosts:
            for message in host.messages:
                number = int(re.search(rb"Subject: (\d+)",
                                       message.content)[1])
                for to in message.rcpts:
                    key = number, to.rpartition("@")[2]
                    found[key] = found.get(key, 0) + 1
        return found

    def submit_all(self, operators, pause=0.0):
        number = 0
        while number < MESSAGES:
            try:
                with Peer(self.run / "submit.sock") as client:
                    while number < MESSAGES:
                        id_ = submit(
                            client, 1, sender=b"s@reports.example",
                            to=[b"u@%s.example" % d for d in (b"a", b"b",
                                                              b"c")],
                            text=b"Subject: %d\r\n\r\nx\r\n" % number)
                        self.ids.append(id_)
                        number += 1
                        for operator in operators:
                            operator.ids.append(id_)
                        time.sleep(pause)
            except (OSError, AssertionError):
                time.sleep(0.05)

    def settle(self, operators):
        """No operator any more; what they held goes, and all comes to its
        end."""
        for operator in operators:
            operator.is_over.set()
            operator.join()
            for message, actions in operator.done.items():
                self.acted.setdefault(message, []).extend(actions)
        self.outpost.command("queue", "release", "--all", "--yes",
                             check=False)
        assert wait_until(lambda: not self.outpost.queue("--limit", "1"),
                          30, 0.1), (self.outpost.queue(),
                                     self.outpost.text())

    def check(self, stats):
        arrived = self.arrived()
        reports = len(self.reports.messages)
        assert stats["accepted"] == stats["delivered"] + stats["failed"] + \
            stats["retracted"], stats
        assert stats["accepted"] == 3 * len(self.ids) + reports, \
            (stats, reports)
        copies = sum(arrived.values()) - len(arrived)
        print(f"  {len(arrived)} arrived, {stats['failed']} bounced, "
              f"{stats['retracted']} taken back, {copies} second copies, "
              f"{stats['uncertain']} uncertain, {reports} reports",
              flush=True)
        assert copies <= stats["uncertain"], arrived
        assert reports >= sum(BOUNCE in a and DELETE not in a
                              for a in self.acted.values())
        # each recipient is in one place
        assert len(arrived) <= stats["delivered"] - reports + \
            stats["uncertain"]
        assert stats["delivered"] - reports <= len(arrived)
        for at, message in enumerate(self.ids):
            got = [d for n, d in arrived if n == at]
            actions = self.acted.get(message, [])
            if RETRACT in actions:
                assert not got, f"retracted, and sent to {got}: {actions}"
            elif not ENDS & set(actions):
                assert len(got) == 3, (actions, got)
        return arrived


def operators_race(folder):
    """Three operators and six lines."""
    w = World(folder, {"end": Answer("250 ok", delay=0.002),
                       "MAIL": ["451 4.3.0 later", "250 ok"] * 20 +
                       ["250 ok"]})
    with w.outpost:
        operators = [Operator(w.run / "queue.sock", seed, actions)
                     for seed, actions in (
                         (1, (HOLD, RELEASE, RETRY, RETRACT)),
                         (2, (HOLD, RELEASE, DELETE)),
                         (3, (RELEASE, RETRY, BOUNCE, HOLD)))]
        w.submit_all(operators, 0.002)
        time.sleep(0.3)
        w.settle(operators)
        stats = w.outpost.stats()
        assert stats["uncertain"] == 0, stats
        assert stats["retracted"] and stats["failed"] and stats["delivered"]
        assert sum(o.requests for o in operators) > 500
        w.check(stats)
        w.outpost.command("queue", "verify")
    w.stage.stop()


def keeper_dies_meanwhile(folder):
    """The same while the keeper is killed again and again."""
    w = World(folder, {"end": Answer("250 ok", delay=0.002)})
    w.outpost.may_die = True
    with w.outpost:
        operators = [Operator(w.run / "queue.sock", seed, actions)
                     for seed, actions in (
                         (4, (HOLD, RELEASE, RETRY)),
                         (5, (HOLD, RELEASE, DELETE, RETRACT)))]
        feeder = threading.Thread(target=w.submit_all,
                                  args=(operators, 0.005))
        feeder.start()
        for _ in range(4):
            time.sleep(0.4)
            for pid in w.outpost.pids("outpost-queued"):
                os.kill(pid, signal.SIGKILL)
        feeder.join()
        w.settle(operators)
        stats = w.outpost.stats()
        arrived = w.arrived()
        copies = sum(arrived.values()) - len(arrived)
        # A message whose answer was lost may be there though its number was
        # given again; a change whose answer was lost, done.
        print(f"  {len(arrived)} arrived, {copies} second copies, {stats}",
              flush=True)
        assert stats["accepted"] == stats["delivered"] + stats["failed"] + \
            stats["retracted"], stats
        assert stats["accepted"] >= 3 * MESSAGES
        assert sum(arrived.values()) >= stats["delivered"]
        assert sum(arrived.values()) <= stats["delivered"] + \
            stats["uncertain"]
        for at, message in enumerate(w.ids):
            got = [d for n, d in arrived if n == at]
            if RETRACT in w.acted.get(message, []) and \
                    stats["accepted"] == 3 * MESSAGES:
                assert not got, (at, got)
        w.outpost.command("queue", "verify")
    w.stage.stop()


def main():
    for scene in (operators_race, keeper_dies_meanwhile):
        print(scene.__name__, flush=True)
        started = time.monotonic()
        with Folder() as folder:
            scene(folder)
        print(f"  {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
