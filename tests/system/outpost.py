"""What the system tests share: a private Outpost, an SMTP receiver, waiting.

Standard library only. Everything binds to 127.0.0.0/8 or ::1; only processes
that were started here are signalled, by pid.
"""
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("OUTPOST_BIN", REPO / "bin")).resolve()
BUILD = pathlib.Path(os.environ.get("OUTPOST_BUILD", REPO / "build")).resolve()
TOOLS = BUILD / "bench"
SKIP = 77


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


def free_port(address="127.0.0.1"):
    """A TCP and UDP port that nobody uses now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(50):
        with socket.socket(family, socket.SOCK_STREAM) as tcp:
            tcp.bind((address, 0))
            port = tcp.getsockname()[1]
            with socket.socket(family, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind((address, port))
                    return port
                except OSError:
                    continue
    raise RuntimeError("no free port")


def wait_until(what, seconds=10.0, every=0.02):
    """Call what until it is true; its last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(every)


def tree(root):
    """root and its living descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[1])
    found = [root]
    for pid in found:
        found += [p for p, parent in parents.items() if parent == pid]
    return found


def program_of(pid):
    """The name of the program that pid runs, "" when it is gone, or dead and
    not yet buried. (Its executable's link is hidden: the programs are not
    dumpable.)"""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return "" if rest.split()[0] in "ZX" else name


class Folder:
    """A temporary folder that programs without rights can reach."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="outpost-"))
        os.chmod(self.path, 0o755)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Instance:
    """A private Outpost below folder. conf: settings over the defaults here
    (spool, runtime, log); {port} in it is the SMTP port."""

    def __init__(self, folder, conf="", spool="spool", listen=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.conf = self.folder / "outpost.conf"
        self.process = None
        self.may_die = False  # a test that kills programs sets it
        self.base = (
            'localname = "test.outpost.example"\n'
            f'spool = "{spool}"\nruntime = "run"\nlog-to = "log"\n'
            + (f'listen "127.0.0.1:{self.port}" {{ }}\n' if listen else ""))
        self.configure(conf)

    def configure(self, conf):
        """The guard would ask the DNS of the world: off, unless conf has a
        word about it."""
        guard = "" if "dnscheck {" in conf else "\ndnscheck { guard = off }\n"
        self.conf.write_text(self.base + conf + guard)

    def start(self, seconds=30):
        self.process = subprocess.Popen(
            [BIN / "outpost", "run", "-c", self.conf],
            stdout=subprocess.PIPE, stderr=open(self.folder / "stderr", "ab"))
        out = self.process.stdout.fileno()
        seen = b""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not select.select([out], [], [], 0.1)[0]:
                continue
            more = os.read(out, 4096)
            seen += more
            if b"outpost: ready" in seen:
                return self
            if not more:
                break
        self.kill()
        raise RuntimeError("outpost did not start:\n" + self.text())

    def text(self):
        """Log and stderr, for a failing test's message."""
        parts = []
        for name in ("stderr", "log"):
            path = self.folder / name
            if path.exists():
                parts.append(path.read_text(errors="replace")[-4000:])
        return "\n".join(parts)

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pids(self, program=None):
        """Living processes of this instance, or those running program."""
        if not self.process or self.process.poll() is not None:
            return []
        found = tree(self.process.pid)
        if program:
            found = [p for p in found if program_of(p) == program]
        return found

    def kill(self):
        """kill -9 of everything at once."""
        if not self.process:
            return
        pids = tree(self.process.pid)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.process.wait()
        wait_until(lambda: not any(
            program_of(p).startswith("outpost") for p in pids), 5)
        self.process.stdout.close()
        self.process = None

    def stop(self, seconds=40):
        """Orderly end; its exit status."""
        if not self.process:
            return None
        self.process.terminate()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError("outpost did not stop:\n" + self.text())
        self.process.stdout.close()
        self.process = None
        return status

    def __enter__(self):
        return self.start()

    def deaths(self):
        """Programs that died by themselves or were killed, from the log."""
        return [line for line in self.log().splitlines()
                if "child-died" in line]

    def __exit__(self, kind, *_):
        if self.process:
            self.stop()
        if kind is None and not self.may_die and self.deaths():
            raise RuntimeError("programs died:\n" + self.text())

    def command(self, *words, check=True, **options):
        """Run "outpost WORDS -c FILE"."""
        done = subprocess.run([BIN / "outpost", *words, "-c", self.conf],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"outpost {' '.join(words)}: "
                               f"{done.returncode}\n{done.stdout}"
                               f"{done.stderr}\n{self.text()}")
        return done

    def json(self, *words):
        """The objects that "outpost WORDS --json" prints."""
        out = self.command(*words, "--json").stdout
        return [json.loads(line) for line in out.splitlines() if line]

    def queue(self, *filters):
        return self.json("queue", "list", *filters)

    def stats(self):
        return self.json("queue", "stats")[0]

    def sendmail(self, text, *words, **options):
        """sendmail with text on its input; the finished process."""
        env = dict(os.environ, OUTPOST_CONF=str(self.conf))
        data = text if isinstance(text, bytes) else text.encode()
        return subprocess.run([BIN / "sendmail", *words], input=data, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60, **options)

    def wait_empty(self, seconds=20):
        if not wait_until(lambda: not self.queue("--limit", "1"), seconds,
                          0.1):
            raise RuntimeError(f"still queued: {self.queue()}\n{self.text()}")


class Sink:
    """The SMTP receiver (tests/bench/smtp_sink.c), storing what comes."""

    def __init__(self, folder, *options, port=None, store=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.port = port or free_port()
        words = [TOOLS / "smtp_sink", "--port", str(self.port)]
        if store:
            words += ["--store", self.folder]
        self.process = subprocess.Popen([*words, *options],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready"):
            raise RuntimeError(f"receiver did not start: {line}")

    def messages(self):
        """The stored messages, as bytes, in order of arrival."""
        return [f.read_bytes() for f in sorted(self.folder.glob("*.eml"))]

    def envelopes(self):
        """The MAIL and RCPT commands of each, as lists."""
        return [json.loads(f.read_text())
                for f in sorted(self.folder.glob("*.json"))]

    def wait(self, count, seconds=20):
        wait_until(lambda: len(self.messages()) >= count, seconds)
        found = self.messages()
        if len(found) < count:
            raise RuntimeError(f"{len(found)} of {count} messages arrived")
        return found

    def stop(self):
        """Its counts."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=10)
        return json.loads(out.strip().splitlines()[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
