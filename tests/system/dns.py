"""Real DNS on loopback: nsd serves zones, unbound resolves through it."""
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import time

from outpost import free_port, skip

SOA = "@ IN SOA ns.{zone} host.{zone} 1 3600 600 86400 60\n@ IN NS ns\n" \
      "ns IN A 127.0.0.1\n"


def need():
    for program in ("nsd", "unbound"):
        if not shutil.which(program, path="/usr/sbin:/usr/bin"):
            skip(f"{program} is not installed")


def answers(port):
    """Whether a name server answers anything at all."""
    query = struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0) + \
        b"\x09localhost\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.2)
        try:
            udp.sendto(query, ("127.0.0.1", port))
            return len(udp.recv(512)) > 0
        except OSError:
            return False


class Server:
    def start(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 10
        while not answers(self.port):
            if self.process.poll() is not None or \
                    time.monotonic() > deadline:
                self.process.kill()
                out = self.process.stdout.read().decode(errors="replace")
                raise RuntimeError(f"{command[0]} did not start: {out}")
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stdout.decode()}")
    return done.stdout.decode().strip()


class Signer:
    """Signs zone files with a key of their own; anchors: what a validating
    resolver is to believe."""

    def __init__(self, folder):
        for program in ("ldns-keygen", "ldns-signzone"):
            if not shutil.which(program):
                skip(f"{program} is not installed")
        self.folder, self.anchors = pathlib.Path(folder), []

    def sign(self, zone, path):
        """The signed file. A line that ends in "; FORGED" is changed after it
        was signed: its type's data then does not fit its signature."""
        key = run(self.folder, "ldns-keygen", "-r", "/dev/urandom", "-a",
                  "ECDSAP256SHA256", "-k", zone)
        forged = [line.split(";")[0].split()
                  for line in path.read_text().splitlines()
                  if line.endswith("; FORGED")]
        run(self.folder, "ldns-signzone", "-o", zone, str(path), key)
        signed = path.with_name(path.name + ".signed")
        lines = []
        for line in signed.read_text().splitlines():
            words = line.split()
            for owner, _, kind, *data in forged:
                if words[:1] == [f"{owner}.{zone}."] and words[3] == kind:
                    assert words[4:] == data, (words, data)
                    line = line[:-1] + ("0" if line[-1] != "0" else "1")
            lines.append(line)
        signed.write_text("\n".join(lines) + "\n")
        self.anchors.append(self.folder / f"{key}.ds")
        return signed


class Nsd(Server):
    """zones: {name: records}; SOA and NS are added. signed: those of them that
    signer signs."""

    def __init__(self, folder, zones, signer=None, signed=()):
        folder = pathlib.Path(folder) / "nsd"
        folder.mkdir()
        self.port = free_port()
        conf = (f"server:\n  ip-address: 127.0.0.1@{self.port}\n"
                f"  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{folder}\"\n"
                f"  pidfile: \"{folder}/pid\"\n  database: \"\"\n"
                f"  zonelistfile: \"{folder}/list\"\n"
                f"  xfrdfile: \"{folder}/xfrd\"\n  xfrdir: \"{folder}\"\n"
                f"  logfile: \"{folder}/log\"\n  server-count: 1\n"
                "  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n"
                "remote-control:\n  control-enable: no\n")
        for zone, records in zones.items():
            path = folder / f"{zone.rstrip('.') or 'root'}.zone"
            path.write_text(f"$ORIGIN {zone}.\n$TTL 60\n"
                            + SOA.format(zone=zone + ".") + records)
            if zone in signed:
                path = signer.sign(zone, path)
            conf += f"zone:\n  name: \"{zone}\"\n  zonefile: \"{path}\"\n"
        (folder / "nsd.conf").write_text(conf)
        self.start(["/usr/sbin/nsd", "-d", "-c", str(folder / "nsd.conf")])


class Unbound(Server):
    """Resolves zones through the name server at port; nothing else. anchors:
    files with the keys of signed zones; then it validates."""

    def __init__(self, folder, zones, authority_port, extra="", anchors=()):
        folder = pathlib.Path(folder) / "unbound"
        folder.mkdir()
        self.port = free_port()
        conf = (f"server:\n  interface: 127.0.0.1@{self.port}\n"
                f"  port: {self.port}\n  username: \"\"\n  chroot: \"\"\n"
                f"  directory: \"{folder}\"\n  pidfile: \"{folder}/pid\"\n"
                "  use-syslog: no\n  do-daemonize: no\n"
                "  do-not-query-localhost: no\n"
                f"  module-config: \"{'validator ' if anchors else ''}"
                "iterator\"\n"
                "  access-control: 127.0.0.0/8 allow\n  num-threads: 1\n" + extra
                + "".join(f"  trust-anchor-file: \"{a}\"\n" for a in anchors)
                + "remote-control:\n  control-enable: no\n")
        for zone in zones:
            conf += (f"stub-zone:\n  name: \"{zone}\"\n"
                     f"  stub-addr: 127.0.0.1@{authority_port}\n")
        (folder / "unbound.conf").write_text(conf)
        self.start(["/usr/sbin/unbound", "-d", "-c",
                    str(folder / "unbound.conf")])


class Dns:
    """Both, for the zones given. port is the resolver's."""

    def __init__(self, folder, zones):
        need()
        self.nsd = Nsd(folder, zones)
        try:
            self.unbound = Unbound(folder, zones, self.nsd.port)
        except Exception:
            self.nsd.stop()
            raise
        self.port = self.unbound.port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unbound.stop()
        self.nsd.stop()


class Moody(threading.Thread):
    """A resolver before the one at port: a name with a label "servfail" gets
    SERVFAIL, one with "silent" no answer at all."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.behind = ("127.0.0.1", port)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.settimeout(0.2)
        self.port = self.udp.getsockname()[1]
        self.is_over = False

    def run(self):
        while not self.is_over:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                continue
            if b"\x08servfail" in query:
                self.udp.sendto(query[:2] + b"\x81\x82" + query[4:], peer)
            elif b"\x06silent" not in query:
                threading.Thread(target=self.ask, args=[query, peer],
                                 daemon=True).start()

    def ask(self, query, peer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            try:
                udp.sendto(query, self.behind)
                self.udp.sendto(udp.recv(4096), peer)
            except OSError:
                pass

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.join()
        self.udp.close()
