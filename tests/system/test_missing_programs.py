"""Programs that are missing, may not be executed or are none (hazard 31): the
resolver and the spawner of lines. Mail waits for them, for the true reason, and
is never bounced; as soon as they are back it goes.
"""
import os
import shutil
import signal

import outpost
from dns import Dns
from outpost import Folder, Instance, Sink, wait_until

TEXT = "Subject: x\n\nx\n"


def start_failures(instance):
    return instance.log().count("start-failed")


def without(instance, place, program, spoil, sender):
    """A message sent while program is spoilt; it has to wait."""
    path = place / program
    original = path.read_bytes()
    failed = start_failures(instance)
    path.unlink()
    spoil(path, original)
    for pid in instance.pids(program):
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: start_failures(instance) > failed + 1 or
                      len(instance.deaths()) > 2, 20), instance.text()
    done = instance.sendmail(TEXT, "-f", sender, "u@there.trap.example")
    assert done.returncode == 0, done
    # several more tries of the supervisor, and nothing becomes final
    before = start_failures(instance) + len(instance.deaths())
    assert wait_until(lambda: start_failures(instance) +
                      len(instance.deaths()) > before, 20), instance.text()
    queued = instance.queue()
    assert [d["recipient"] for d in queued] == ["u@there.trap.example"], queued
    assert instance.stats()["failed"] == 0
    status = {o["program"]: o for o in instance.json("status")
              if "program" in o}
    assert status[program]["state"] != "ready", status[program]
    path.unlink(missing_ok=True)
    path.write_bytes(original)
    path.chmod(0o755)


def absent(_path, _original):
    pass


def not_executable(path, original):
    path.write_bytes(original)
    path.chmod(0o644)


def no_program(path, _original):
    path.write_text("not a program\n")
    path.chmod(0o755)


def cut_short(path, original):
    path.write_bytes(original[:8192])
    path.chmod(0o755)


def wrong_library(path, original):
    """Linked to a library that this system does not have."""
    path.write_bytes(original.replace(b"libseccomp.so.2",
                                      b"libseccomp.so.0"))
    path.chmod(0o755)


SPOILS = (absent, not_executable, no_program, cut_short, wrong_library)


def main():
    with Folder() as folder, Sink(folder / "sink") as sink, \
            Dns(folder, {"trap.example": "there IN MX 1 mx\n"
                         "mx IN A 127.0.0.1\n"}) as dns:
        original = outpost.BIN
        place = folder / "bin"
        shutil.copytree(original, place, symlinks=True)
        outpost.BIN = place
        conf = (f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
                f'port = {sink.port}\nallow-local-mx = on\n'
                'retry { wait = 1s  factor = 1  max-wait = 1s }\n')
        count = 0
        for program in ("outpost-resolve", "outpost-remote"):
            for spoil in SPOILS:
                # an instance each: the supervisor's pauses grow
                with Instance(folder / f"o{count}", conf, listen=False) as i:
                    i.may_die = True
                    without(i, place, program, spoil,
                            f"s{count}@home.example")
                    count += 1
                    sink.wait(count, 40)
                    i.wait_empty()
                    stats = i.stats()
                    assert (stats["delivered"], stats["failed"]) == (1, 0), \
                        stats
                print("ok", program, spoil.__name__, flush=True)


if __name__ == "__main__":
    main()
