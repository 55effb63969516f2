#!/usr/bin/env python3
"""make bench: Outpost and Postfix on the same work, in turn, on loopback.

Prints a table with ratios. --quick does a tenth of the work; --only NAME runs
one measurement. Figures of one run compare; absolute figures depend on the
machine. Postfix is the Debian package, unpacked and run privately (root only);
without it the table has one column.
"""
import argparse
import json
import os
import pathlib
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
import postfix  # noqa: E402
from certificates import Authority  # noqa: E402
from outpost import free_port, tree  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root):
    """User and system time of a process tree, reaped children included."""
    total = 0
    for pid in tree(root):
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text() \
                .rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(fields[i]) for i in (11, 12, 13, 14))
    return total / TICK


def private_kib(pids):
    total = 0
    for pid in pids:
        try:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup") \
                    .read_text().splitlines():
                if line.startswith("Private_"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total


def disk_bytes(path):
    """Bytes written so far to the device that holds path."""
    device = os.stat(path).st_dev
    for line in pathlib.Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if (int(fields[0]), int(fields[1])) == (os.major(device),
                                                os.minor(device)):
            return int(fields[9]) * 512
    return 0


class Sink:
    def __init__(self, tools, *options):
        self.port = free_port()
        self.process = subprocess.Popen(
            [tools / "smtp_sink", "--port", str(self.port), *options],
            stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def stop(self):
        self.process.terminate()
        out, _ = self.process.communicate(timeout=10)
        return json.loads(out.strip().splitlines()[-1])

    def count(self):
        """Messages so far, without stopping it."""
        self.process.send_signal(10)  # SIGUSR1
        return json.loads(self.process.stdout.readline())["messages"]


class TimingSink(threading.Thread):
    """A receiver in this process, so that one clock times both ends."""

    def __init__(self):
        super().__init__(daemon=True)
        self.arrived = queue.Queue()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def serve(self, client):
        try:
            self.talk(client)
        except OSError:
            pass  # peers need not say goodbye

    def talk(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, client.makefile("rb", 1 << 16) as lines:
            client.sendall(b"220 sink\r\n")
            for line in lines:
                verb = line[:4].upper()
                if verb == b"EHLO":
                    reply = b"250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
                elif verb == b"DATA":
                    client.sendall(b"354 go on\r\n")
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    self.arrived.put(time.monotonic())
                    reply = b"250 taken\r\n"
                elif verb == b"BDAT":
                    lines.read(int(line.split()[1]))
                    self.arrived.put(time.monotonic())
                    reply = b"250 taken\r\n"
                else:
                    reply = b"221 bye\r\n" if verb == b"QUIT" else \
                        b"250 ok\r\n"
                client.sendall(reply)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class OutpostPeer:
    name = "outpost"

    def __init__(self, folder, options):
        self.folder = pathlib.Path(folder)
        self.bin = options.bin
        self.port = free_port()
        self.process = None

    def start(self, sink_port, held=False, lines=20, tls=None, ca=None,
              per_connection=100):
        """tls: "may" or "verify", by the CA in the file ca."""
        self.conf = self.folder / "outpost.conf"
        tls = f'tls = "{tls}"' if tls else ""
        ca = f'tls {{ ca-file = "{ca}" }}' if ca else ""
        self.conf.write_text(f'''
localname = "bench.outpost.example"
dnscheck {{ guard = off }}
spool = "spool"
runtime = "run"
log-to = "log"
mode = "relay"
outbound = {"off" if held else "on"}
listen "127.0.0.1:{self.port}" {{ }}
relay "default" {{ servers = {{ "smtp://127.0.0.1:{sink_port}" }} {tls} }}
line "default" {{
  count = {lines}
  messages-per-connection = {per_connection}
}}
{ca}
limits {{ destination-connections = {lines} }}
''')
        self.process = subprocess.Popen(
            [self.bin / "outpost", "run", "-c", self.conf],
            stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("outpost: ready"):
                return
        raise RuntimeError("outpost did not start, see "
                           f"{self.folder}/log")

    def root(self):
        return self.process.pid

    def command(self, *words):
        return subprocess.run([self.bin / "outpost", *words, "-c", self.conf],
                              stdout=subprocess.PIPE, text=True, check=True)

    def release(self):
        self.command("outbound", "on")

    def stats(self):
        return json.loads(self.command("queue", "stats", "--json").stdout
                          .splitlines()[0])

    def memory_pids(self):
        names = ("outpost-queued", "outpost-runner")
        return [p for p in tree(self.root())
                if pathlib.Path(f"/proc/{p}/comm").read_text().strip()[:14]
                in [n[:14] for n in names]]

    def line_pids(self):
        spawner = [p for p in tree(self.root()) if pathlib.Path(
            f"/proc/{p}/comm").read_text().startswith("outpost-remote")]
        return [p for p in tree(spawner[0]) if p != spawner[0]]

    def list_seconds(self):
        start = time.monotonic()
        self.command("queue", "list")
        return time.monotonic() - start

    def sendmail(self):
        return ["env", f"OUTPOST_CONF={self.conf}",
                str(self.bin / "sendmail")]

    def stop(self, hard=False):
        if not self.process:
            return
        if hard:
            for pid in reversed(tree(self.root())):
                try:
                    os.kill(pid, 9)
                except OSError:
                    pass
        else:
            self.process.terminate()
        self.process.wait(60)
        self.process = None


class PostfixPeer:
    name = "postfix"

    def __init__(self, folder, options):
        self.folder = pathlib.Path(folder)
        self.unpacked = options.build / "postfix"
        self.port = free_port()
        self.server = None

    def start(self, sink_port, held=False, lines=20, tls=None, ca=None,
              per_connection=100):
        more = {
            "smtp_tls_security_level": {"may": "may", "verify": "verify"}[tls],
            "smtp_tls_verify_cert_match": "nexthop",
            "smtp_tls_CAfile": ca,
            "smtp_tls_session_cache_database":
                "btree:${data_directory}/smtp_scache",
        } if tls else {}
        if tls and per_connection > 1:
            more |= {"smtp_tls_connection_reuse": "yes",
                     "smtp_connection_cache_destinations": "static:all"}
        self.server = postfix.Postfix(self.folder, self.unpacked, self.port, {
            "relayhost": f"[127.0.0.1]:{sink_port}",
            "defer_transports": "smtp" if held else "",
            "in_flow_delay": "0",
            "smtp_destination_concurrency_limit": lines,
            "default_destination_concurrency_limit": lines,
            "initial_destination_concurrency": lines,
            **more,
        })
        self.server.start()

    def root(self):
        return self.server.master_pid()

    def release(self):
        main = self.folder / "etc/postfix/main.cf"
        main.write_text(main.read_text().replace(
            "defer_transports = smtp", "defer_transports ="))
        self.server.enter("postfix reload && postqueue -f",
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)

    def stats(self):
        return None

    def memory_pids(self):
        return [p for p in self.server.pids() if "qmgr" in pathlib.Path(
            f"/proc/{p}/comm").read_text()]

    def line_pids(self):
        return [p for p in self.server.pids() if pathlib.Path(
            f"/proc/{p}/comm").read_text().strip() == "smtp"]

    def list_seconds(self):
        start = time.monotonic()
        self.server.enter("postqueue -p >/dev/null")
        return time.monotonic() - start

    def sendmail(self):
        return ["nsenter", "-m", "-t", str(self.root()), "/usr/sbin/sendmail"]

    def stop(self, hard=False):
        if self.server:
            self.server.stop()
            self.server = None


def load(options, port, messages, *more):
    out = subprocess.run(
        [options.tools / "smtp_load", "--sessions", "20", "--messages",
         str(messages), "--size", "4096", "--json", *more, "127.0.0.1",
         str(port)], stdout=subprocess.PIPE, text=True)
    return json.loads(out.stdout.splitlines()[-1])


def wait_for(count, sink, seconds):
    """Seconds until the sink has count messages."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if sink.count() >= count:
            return time.monotonic() - start
        time.sleep(0.02)
    raise RuntimeError(f"{sink.count()} of {count} messages after "
                       f"{seconds} s")


class Bench:
    def __init__(self, options, peer_class):
        self.options = options
        self.peer_class = peer_class
        self.scale = 10 if options.quick else 1

    def peer(self, sink_port, **settings):
        folder = tempfile.mkdtemp(prefix="bench-", dir=self.options.folder)
        os.chmod(folder, 0o755)
        peer = self.peer_class(folder, self.options)
        peer.start(sink_port, **settings)
        return peer

    @staticmethod
    def spool_cost(before, after, n):
        if not after:
            return {}
        return {
            "spool KiB/message":
                (after["written_bytes"] - before["written_bytes"]) / 1024 / n,
            "syncs/message": (after["syncs"] - before["syncs"]) / n}

    def accept(self):
        """20 sessions, 4 KiB, delivery held."""
        n = (20000 if self.peer_class is OutpostPeer else 6000) // self.scale
        sink = Sink(self.options.tools)
        peer = self.peer(sink.port, held=True)
        try:
            before = peer.stats()
            cpu = cpu_seconds(peer.root())
            written = disk_bytes(self.options.folder)
            got = load(self.options, peer.port, n)
            cpu = cpu_seconds(peer.root()) - cpu
            result = {"messages/s": got["per_second"],
                      "CPU s/1000": cpu * 1000 / n,
                      "median ms": got["median_ms"]}
            os.sync()
            result["disk KiB/message"] = \
                (disk_bytes(self.options.folder) - written) / 1024 / n
            result.update(self.spool_cost(before, peer.stats(), n))
            return result
        finally:
            peer.stop()
            sink.stop()

    def relay(self):
        """20 sessions in, 4 KiB, out through a relay, until all arrived;
        after a warm-up (segments of the journal are in their second life)."""
        n = (20000 if self.peer_class is OutpostPeer else 6000) // self.scale
        warm = 40000 // self.scale if self.peer_class is OutpostPeer else 500
        sink = Sink(self.options.tools)
        peer = self.peer(sink.port)
        try:
            load(self.options, peer.port, warm)
            wait_for(warm, sink, 120)
            before = peer.stats()
            cpu = cpu_seconds(peer.root())
            start = time.monotonic()
            load(self.options, peer.port, n)
            wait_for(warm + n, sink, 120)
            took = time.monotonic() - start
            cpu = cpu_seconds(peer.root()) - cpu
            counts = sink.stop()
            result = {"messages/s": n / took, "CPU s/1000": cpu * 1000 / n,
                      "round trips": counts["round_trips"] / (warm + n),
                      "connections": counts["connections"]}
            result.update(self.spool_cost(before, peer.stats(), n))
            return result
        finally:
            peer.stop()
            if sink.process.poll() is None:
                sink.stop()

    def drain(self, *sink_options, count=4000):
        n = count // self.scale
        sink = Sink(self.options.tools, *sink_options)
        peer = self.peer(sink.port, held=True)
        try:
            load(self.options, peer.port, n)
            cpu = cpu_seconds(peer.root())
            peer.release()
            took = wait_for(n, sink, 300)
            cpu = cpu_seconds(peer.root()) - cpu
            lines = peer.line_pids()
            busy = private_kib(lines) / len(lines) if lines else 0
            time.sleep(1)
            rest = private_kib(lines) / len(lines) if lines else 0
            counts = sink.stop()
            return {"KiB a line, busy": busy, "KiB a line, at rest": rest,
                    "messages/s": n / took, "CPU s/1000": cpu * 1000 / n,
                    "round trips": counts["round_trips"] / n,
                    "connections": counts["connections"]}
        finally:
            peer.stop()
            if sink.process.poll() is None:
                sink.stop()

    def drain_fast(self):
        """A full queue to one host that answers at once."""
        return self.drain(count=20000 if self.peer_class is OutpostPeer
                          else 6000)

    def drain_50ms(self):
        """20 lines; the other side waits 50 ms before each answer batch."""
        return self.drain("--delay", "50")

    def drain_50ms_no_chunking(self):
        """The same, without CHUNKING."""
        return self.drain("--delay", "50", "--no-chunking")

    def drain_tls(self, level, per_connection, *sink_options, count):
        """Messages a second out of a full queue by TLS."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.options.folder))
        folder.chmod(0o755)
        ca = Authority(folder)
        pem = ca.issue("localhost", ip="127.0.0.1")
        sink = Sink(self.options.tools, "--tls", str(pem), *sink_options)
        peer = self.peer(sink.port, held=True, tls=level, ca=ca.file,
                         per_connection=per_connection)
        try:
            load(self.options, peer.port, count)
            cpu = cpu_seconds(peer.root())
            peer.release()
            took = wait_for(count, sink, 120)
            cpu = cpu_seconds(peer.root()) - cpu
            lines = peer.line_pids()
            busy = private_kib(lines) / len(lines) if lines else 0
            counts = sink.stop()
            if counts["tls"] != counts["connections"]:
                raise RuntimeError(f"not all of it by TLS: {counts}")
            return count / took, cpu * 1000 / count, busy, counts
        finally:
            peer.stop()
            if sink.process.poll() is None:
                sink.stop()

    def tls(self):
        """A full queue to one host by TLS: connections used again, sessions
        resumed, neither; a verified certificate against any."""
        is_ours = self.peer_class is OutpostPeer
        n = (20000 if is_ours else 3000) // self.scale
        few = (4000 if is_ours else 2000) // self.scale
        result = {}
        for name, per, count, options in (
                ("reuse", 100, n, ()), ("resumption", 1, few, ()),
                ("neither", 1, few, ("--no-resume",))):
            rate, cpu, _, counts = self.drain_tls("may", per, *options,
                                                  count=count)
            result[f"{name} messages/s"] = rate
            result[f"{name} CPU s/1000"] = cpu
            result[f"{name} connections"] = counts["connections"]
            result[f"{name} resumed"] = counts["resumed"]
        # In turn, so that what else the machine does falls on both.
        rates = {"may": [], "verify": []}
        spent = {"may": [], "verify": []}
        for _ in range(1 if self.scale > 1 else 3):
            for level in rates:
                rate, cpu, busy, _ = self.drain_tls(level, 100, count=n)
                rates[level].append(rate)
                spent[level].append(cpu)
                result[f"{level} KiB a line, busy"] = busy
        for level in rates:
            result[f"{level} messages/s"] = max(rates[level])
            result[f"{level} CPU s/1000"] = min(spent[level])
        result["verified / any"] = max(rates["verify"]) / max(rates["may"])
        return result

    def domains(self):
        """1000 recipient domains, through a relay."""
        n = 5000 // self.scale
        sink = Sink(self.options.tools)
        peer = self.peer(sink.port)
        try:
            start = time.monotonic()
            load(self.options, peer.port, n, "--domains", "1000")
            wait_for(n, sink, 120)
            return {"messages/s": n / (time.monotonic() - start)}
        finally:
            peer.stop()
            sink.stop()

    def latency(self):
        """One message at a time, 4 KiB: from its 250 to the receiver's."""
        sink = TimingSink()
        peer = self.peer(sink.port)
        import smtplib
        took = []
        try:
            with smtplib.SMTP("127.0.0.1", peer.port) as client:
                body = "Subject: x\r\n\r\n" + "x" * 4000 + "\r\n"
                for n in range(220):
                    client.sendmail("a@bench.example", ["b@sink.example"],
                                    body)
                    accepted = time.monotonic()
                    took.append((sink.arrived.get(timeout=20) - accepted)
                                * 1000)
                    time.sleep(0.005)
            took = sorted(took[20:])
            return {"median ms": took[100], "p90 ms": took[180]}
        finally:
            peer.stop()
            sink.stop()

    def sendmail(self):
        """sendmail, one at a time and eight at a time."""
        sink = Sink(self.options.tools)
        peer = self.peer(sink.port, held=True)
        n = 400 // self.scale
        body = self.options.folder / "body"
        body.write_text("Subject: x\n\n" + "x" * 4000 + "\n")
        command = peer.sendmail()[-1]
        script = (f'i=0; while [ $i -lt {n} ]; do {command} '
                  f'-f a@bench.example b@sink.example <{body} || exit 1; '
                  'i=$((i+1)); done')
        prefix = peer.sendmail()[:-1]
        try:
            result = {}
            for jobs in (1, 8):
                start = time.monotonic()
                running = [subprocess.Popen([*prefix, "sh", "-c", script])
                           for _ in range(jobs)]
                if any(p.wait() for p in running):
                    raise RuntimeError("sendmail failed")
                result[f"{jobs} at a time /s"] = \
                    n * jobs / (time.monotonic() - start)
            return result
        finally:
            peer.stop()
            sink.stop()

    def backlog(self):
        """100,000 queued: memory, list, restart."""
        n = 100000 // self.scale
        sink = Sink(self.options.tools)
        peer = self.peer(sink.port, held=True)
        try:
            load(self.options, peer.port, n)
            result = {"private MiB": private_kib(peer.memory_pids()) / 1024,
                      "list s": peer.list_seconds()}
            if isinstance(peer, OutpostPeer):
                start = time.monotonic()
                peer.command("queue", "list", "--limit", "50")
                result["list 50 ms"] = (time.monotonic() - start) * 1000
                time.sleep(2)
                before = cpu_seconds(peer.root())
                time.sleep(2)
                result["idle CPU %"] = \
                    (cpu_seconds(peer.root()) - before) * 50
                peer.stop(hard=True)
            else:
                peer.stop()
            start = time.monotonic()
            peer.start(sink.port, held=True)
            result["restart s"] = time.monotonic() - start
            return result
        finally:
            peer.stop()
            sink.stop()


MEASURES = ["accept", "relay", "drain_fast", "drain_50ms",
            "drain_50ms_no_chunking", "tls", "domains", "latency", "sendmail",
            "backlog"]


def show(name, results):
    print(f"\n{name}: {getattr(Bench, name).__doc__}")
    ours = results.get("outpost", {})
    theirs = results.get("postfix", {})
    for key in ours:
        line = f"  {key:20} {ours[key]:12.3f}"
        if key in theirs:
            ratio = ours[key] / theirs[key] if theirs[key] else float("nan")
            line += f"  postfix {theirs[key]:12.3f}  ratio {ratio:8.3f}"
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default="bin")
    parser.add_argument("--build", type=pathlib.Path, default="build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--no-postfix", action="store_true")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.build = options.build.resolve()
    options.tools = options.build / "bench"
    options.folder = pathlib.Path(
        tempfile.mkdtemp(prefix="bench-", dir=options.build))
    os.chmod(options.folder, 0o755)
    peers = [OutpostPeer]
    why = "asked not to" if options.no_postfix else postfix.why_not()
    if why:
        print(f"without Postfix: {why}")
    else:
        peers.append(PostfixPeer)
    failed = 0
    try:
        for name in MEASURES:
            if options.only and options.only != name:
                continue
            results = {}
            for peer in peers:
                try:
                    results[peer.name] = getattr(Bench(options, peer), name)()
                except Exception as problem:  # one row must not end the rest
                    failed += 1
                    print(f"{name}: {peer.name}: {problem}", flush=True)
            show(name, results)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
