"""Debian packages unpacked, never installed: a mail server of its own kind for
a test, without a word with the system's. A program of them runs in a mount
namespace, where an overlay puts the unpacked files over /usr and a private /etc
over /etc. Nothing of it is visible outside, and nothing of it stays. Root only.
"""
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time


def why_not():
    """None when it can run here, else the reason."""
    if os.geteuid() != 0:
        return "needs root (a mount namespace)"
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        return "needs overlayfs"
    return None


def unpack(root, packages):
    """Fetch and unpack into root, once."""
    root = pathlib.Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "done").exists():
            fetch(root, packages)
            (root / "done").touch()


def fetch(root, packages):
    for folder in root.iterdir():  # what an earlier try left
        if folder.is_dir():
            shutil.rmtree(folder)
    debs = root / "debs"
    debs.mkdir()
    os.chmod(debs, 0o777)
    for package in packages:
        subprocess.run(["apt-get", "download", "-q", package], cwd=debs,
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg", "-x", deb, root], check=True)
    # Debian 12 merges /lib into /usr/lib: so must the overlay.
    if (root / "lib").is_dir() and not (root / "lib").is_symlink():
        shutil.copytree(root / "lib", root / "usr/lib", dirs_exist_ok=True,
                        symlinks=True)


def write_users(etc, users, groups):
    """passwd and group of the private /etc: the system's and these lines."""
    etc.mkdir(parents=True, exist_ok=True)
    for name, more in (("passwd", users), ("group", groups)):
        text = pathlib.Path("/etc", name).read_text()
        for line in more:
            if not any(have.split(":")[0] == line.split(":")[0]
                       for have in text.splitlines()):
                text += line + "\n"
        (etc / name).write_text(text)


def inside(root, etc, command, empty=()):
    """The words that run a shell command in a namespace of its own; the
    folders named in empty are empty there."""
    mounts = "".join(f" && mount -t tmpfs tmpfs {folder}" for folder in empty)
    return ["unshare", "-m", "sh", "-c",
            "mount --make-rprivate / && "
            f"mount -t overlay overlay -o lowerdir={root}/usr:/usr /usr && "
            f"mount -t overlay overlay -o lowerdir={etc}:/etc /etc"
            f"{mounts} && {command}"]


def has_greeting(address, port):
    try:
        with socket.create_connection((address, port), 1) as s:
            s.settimeout(5)
            return s.recv(100).startswith(b"220")
    except OSError:
        return False


class Server:
    """What Exim and OpenSMTPD share: a process in the foreground that listens
    on port of several addresses. addresses: {address: certificate's file, or None
    for a server without TLS}."""

    packages = ()
    empty = ()

    def __init__(self, folder, root, port, addresses):
        self.folder, self.root = pathlib.Path(folder), pathlib.Path(root)
        self.port, self.addresses = port, addresses
        self.process = None
        unpack(self.root, self.packages)
        for name in ("etc", "mail", "log", "spool"):
            (self.folder / name).mkdir(parents=True)
        command = self.write()
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                inside(self.root, self.folder / "etc", command,
                       self.empty),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True)

    def write(self):
        """Write what it needs; the command that starts it."""
        raise NotImplementedError

    def wait(self, seconds=20):
        deadline = time.monotonic() + seconds
        while not all(has_greeting(a, self.port) for a in self.addresses):
            if self.process.poll() is not None or \
                    time.monotonic() > deadline:
                text = self.log()
                self.stop()
                raise RuntimeError(f"{type(self).__name__}: {text[-3000:]}")
            time.sleep(0.1)

    def log(self):
        files = [self.folder / "output", *(self.folder / "log").glob("*")]
        return "\n".join(f.read_text(errors="replace") for f in files
                         if f.is_file())

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:  # its children, should it have left any: its own session
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass
        self.process.wait()
        self.process = None
