"""Power cuts: the spool on a loop-mounted ext4 that is shut down at a random
moment without flushing its log; then mounted again, as after a reboot.
"""
import fcntl
import os
import random
import struct
import subprocess
import time

from load import Load, reckon
from outpost import Folder, Instance, Sink, skip

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "8"))
EXT4_IOC_SHUTDOWN = 0x8004587d
NO_LOG_FLUSH = 2
CONF = '''
route "*.example" { servers = { "smtp://127.0.0.1:%d" } }
retry { wait = 1s  factor = 1  max-wait = 1s  jitter = 0%% }
line "default" { count = 4 }
'''


def sh(*words, check=True):
    return subprocess.run(words, check=check, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


class Disk:
    """An ext4 file system in a file."""

    def __init__(self, folder):
        self.image = folder / "image"
        self.mount_at = folder / "disk"
        self.mount_at.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(512 << 20)
        sh("mkfs.ext4", "-q", str(self.image))

    def mount(self):
        sh("mount", "-o", "loop", str(self.image), str(self.mount_at))

    def cut(self):
        """Everything that is not on disk now is gone."""
        fd = os.open(self.mount_at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN,
                        struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def unmount(self):
        for _ in range(50):
            if sh("umount", str(self.mount_at), check=False).returncode == 0:
                return
            time.sleep(0.1)
        sh("umount", "-l", str(self.mount_at), check=False)


def main(seed):
    chance = random.Random(seed)
    with Folder() as folder, Sink(folder / "arrived") as sink:
        disk = Disk(folder)
        try:
            disk.mount()
            # Without rights to the loop device this ends here.
            load = Load(folder)
            outpost = Instance(folder / "instance", CONF % sink.port,
                               spool=str(disk.mount_at / "spool"))
            for _ in range(ROUNDS):
                outpost.start()
                load.start(outpost.port, 200)
                time.sleep(chance.uniform(0.05, 0.3))
                disk.cut()
                outpost.kill()
                load.process.kill()
                load.finish()
                disk.unmount()
                disk.mount()
            outpost.start()
            outpost.wait_empty(60)
            stats = outpost.stats()
            outpost.stop()
        finally:
            disk.unmount()
        print(f"{ROUNDS} power cuts, seed {seed}:")
        reckon(load, sink.messages(), stats["uncertain"])


if __name__ == "__main__":
    if os.geteuid() != 0:
        skip("needs root to mount a file system")
    if not os.path.exists("/dev/loop-control"):
        skip("needs loop devices")
    main(int(os.environ.get("SEED", time.time_ns() % 100000)))
