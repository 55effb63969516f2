"""kill -9 of everything, and of each program, at random moments under load:
nothing acknowledged is lost, second copies only among those recorded uncertain.
"""
import os
import random
import signal
import time

from load import Load, reckon
from outpost import Folder, Instance, Sink, wait_until

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
PROGRAMS = ["outpost-queued", "outpost-runner", "outpost-remote",
            "outpost-smtpd", "outpost-resolve", "outpost-fetch"]
CONF = '''
route "*.example" { servers = { "smtp://127.0.0.1:%d" } }
retry { wait = 1s  factor = 1  max-wait = 1s  jitter = 0%% }
line "default" { count = 4 }
'''


def everything(seed):
    """20 rounds over one spool, 100 messages each, killed at random."""
    chance = random.Random(seed)
    with Folder() as folder, Sink(folder / "arrived") as sink:
        load = Load(folder)
        outpost = Instance(folder / "instance", CONF % sink.port)
        for _ in range(ROUNDS):
            outpost.start()
            load.start(outpost.port, 100)
            time.sleep(chance.uniform(0.0, 0.25))
            outpost.kill()
            load.process.kill()
            load.finish()
        outpost.start()
        outpost.wait_empty(60)
        stats = outpost.stats()
        outpost.stop()
        print(f"everything, {ROUNDS} rounds, seed {seed}:")
        reckon(load, sink.messages(), stats["uncertain"])
        assert stats["accepted"] == stats["delivered"], stats


def each_program(seed):
    """One program at a time dies while the others go on."""
    chance = random.Random(seed)
    with Folder() as folder, Sink(folder / "arrived") as sink:
        load = Load(folder)
        outpost = Instance(folder / "instance", CONF % sink.port)
        outpost.start()
        for program in PROGRAMS:
            for _ in range(2):
                load.start(outpost.port, 200)
                time.sleep(chance.uniform(0.0, 0.1))
                for pid in outpost.pids(program):
                    os.kill(pid, signal.SIGKILL)
                load.finish(30)
                assert wait_until(lambda: outpost.pids(program), 20), \
                    f"{program} was not started again\n{outpost.text()}"
        outpost.wait_empty(60)
        stats = outpost.stats()
        outpost.stop()
        print(f"each program, seed {seed}:")
        reckon(load, sink.messages(), stats["uncertain"])


if __name__ == "__main__":
    seed = int(os.environ.get("SEED", time.time_ns() % 100000))
    everything(seed)
    each_program(seed)
