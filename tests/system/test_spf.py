"""The public test suite of RFC 7208 (openspf.org, release 2014.04) through a
name server on loopback and "outpost-dnscheck spf IP SENDER HELO", a process for
each of its cases.

The suite is no part of this repository: it comes with the sources of Debian's
pyspf, fetched when the test runs (or the file that OUTPOST_SPF_SUITE names).
"""
import concurrent.futures
import ipaddress
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tarfile
import tempfile
import threading

from outpost import BIN, Folder, skip

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA = 1, 2, 5, 6, 12, 15, 16, 28
TYPES = {"A": A, "CNAME": CNAME, "PTR": PTR, "MX": MX, "TXT": TXT,
         "AAAA": AAAA}
FILE = "test/rfc7208-tests.yml"
CASES = 203


# --- the suite ---------------------------------------------------------------

def fetch(folder):
    """The archive of the package's upstream sources, by apt, with nothing of
    this machine's apt changed."""
    if not shutil.which("apt-get"):
        skip("no apt-get, which would fetch the public SPF test suite")
    release = "bookworm"
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            release = line.split("=")[1].strip('"')
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "cache/archives/partial").mkdir(parents=True)
    (folder / "sources.list").write_text(
        f"deb-src http://deb.debian.org/debian {release} main\n")
    apt = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={folder}/sources.list",
           "-o", "Dir::Etc::sourceparts=/dev/null",
           "-o", f"Dir::State::lists={folder}/lists",
           "-o", f"Dir::Cache={folder}/cache", "-o", "APT::Sandbox::User=",
           "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1"]
    for command in (["update"],
                    ["source", "--download-only", "--tar-only", "pyspf"]):
        try:
            done = subprocess.run(apt + command, cwd=folder, timeout=90,
                                  stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.STDOUT, check=False)
        except subprocess.TimeoutExpired:
            skip("the public SPF test suite: apt-get took more than 90 s")
    for path in folder.glob("pyspf_*.orig.tar.*"):
        return path
    skip("the public SPF test suite could not be fetched: " +
         (done.stdout.strip().splitlines() or [""])[-1])


def suite():
    """The text of the suite: named, kept from an earlier time, or fetched."""
    named = os.environ.get("OUTPOST_SPF_SUITE")
    if named:
        return pathlib.Path(named).read_text()
    kept = pathlib.Path(os.environ.get(
        "XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / \
        "outpost-tests/rfc7208-tests.yml"
    if kept.exists():
        return kept.read_text()
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fetch(pathlib.Path(folder))) as archive:
            name = next(m for m in archive.getnames() if m.endswith(FILE))
            text = archive.extractfile(name).read().decode()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(text)
        part.rename(kept)
    except OSError as error:
        print(f"  the suite is not kept for the next time: {error}")
    return text


# --- its name server ---------------------------------------------------------

def wire_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            label = label.encode("latin-1")
            out += bytes([len(label)]) + label
    return out + b"\0"


def wire_text(strings):
    """A TXT's strings; longer ones in pieces."""
    out = b""
    for string in [strings] if isinstance(strings, str) else strings:
        data = string.encode("latin-1")
        for i in range(0, len(data) or 1, 255):
            out += bytes([len(data[i:i + 255])]) + data[i:i + 255]
    return out or b"\0"


def wire_data(kind, value):
    if kind in (A, AAAA):
        return ipaddress.ip_address(value).packed
    if kind == TXT:
        return wire_text(value)
    if kind == MX:
        return struct.pack(">H", value[0]) + wire_name(value[1])
    return wire_name(value)


class Names(threading.Thread):
    """Answers for one scenario, over UDP and TCP; silent where it says TIMEOUT.
    A type SPF is what TXT has, when there is no TXT."""

    def __init__(self, zonedata):
        super().__init__(daemon=True)
        self.records, self.silent = {}, {}
        for name, entries in zonedata.items():
            self.add(name.lower().rstrip("."), entries)
        self.open()
        threading.Thread(target=self.run_tcp, daemon=True).start()
        self.start()

    def open(self):
        for _ in range(50):
            self.tcp = socket.create_server(("127.0.0.1", 0))
            self.port = self.tcp.getsockname()[1]
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind(("127.0.0.1", self.port))
                return
            except OSError:
                self.tcp.close()
                self.udp.close()
        raise RuntimeError("no port for a name server")

    def add(self, name, entries):
        here = self.records.setdefault(name, [])
        texts = [e["TXT"] for e in entries if "TXT" in e]
        if not texts:
            texts = [e["SPF"] for e in entries
                     if isinstance(e, dict) and "SPF" in e]
        here += [(TXT, t) for t in texts if t != "NONE"]
        has = set()
        for entry in entries:
            if entry == "TIMEOUT":
                continue
            for kind, value in entry.items():
                has.add(TYPES.get(kind))
                if kind not in ("SPF", "TXT"):
                    here.append((TYPES[kind], value))
        if "TIMEOUT" in entries:  # what the name has no record of
            self.silent[name] = {k for k, _ in here}

    def find(self, name, kind):
        """Records as (owner, type, data), or None: silence. The second: does
        the name exist?"""
        found, owner = [], name
        for _ in range(5):
            key = owner.lower().rstrip(".")
            if key in self.silent and kind not in self.silent[key]:
                return None, True
            here = self.records.get(key)
            if here is None:
                below = any(n.endswith("." + key) for n in self.records)
                return found, below or bool(found)
            alias = [v for k, v in here if k == CNAME]
            if alias and kind != CNAME:
                found.append((owner, CNAME, alias[0]))
                owner = alias[0]
                continue
            return found + [(owner, k, v) for k, v in here if k == kind], True
        return found, True

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        question = query[12:at + 5]
        kind, = struct.unpack(">H", query[at + 1:at + 3])
        found, exists = self.find(".".join(labels), kind)
        if found is None:
            return None
        out = query[:2] + struct.pack(">HHHHH", 0x8580 | (0 if exists else 3),
                                      1, len(found), 0, 0) + question
        for owner, what, value in found:
            data = wire_data(what, value)
            out += wire_name(owner) + struct.pack(
                ">HHIH", what, 1, 60, len(data)) + data
        return out

    def run(self):
        while True:
            query, peer = self.udp.recvfrom(4096)
            out = self.answer(query)
            if out and len(out) > 512:
                out = out[:2] + bytes([out[2] | 2]) + out[3:6] + \
                    b"\0\0\0\0\0\0" + query[12:query.index(b"\0", 12) + 5]
            if out:
                self.udp.sendto(out, peer)

    def run_tcp(self):
        while True:
            peer, _ = self.tcp.accept()
            with peer:
                length, = struct.unpack(">H", peer.recv(2, socket.MSG_WAITALL))
                out = self.answer(peer.recv(length, socket.MSG_WAITALL))
                if out:
                    peer.sendall(struct.pack(">H", len(out)) + out)


# --- the cases ---------------------------------------------------------------

def run_case(folder, names, name, case):
    """What is wrong, or None."""
    # Only where somebody is silent is there anything to wait for.
    limit = "6s" if names.silent else "60s"
    done = subprocess.run(
        [BIN / "outpost-dnscheck", "-c", folder / "empty.conf", "--resolver",
         f"127.0.0.1:{names.port}", "--timeout", limit, "--localname",
         "receiver.example", "--", "spf", str(case["host"]),
         case["mailfrom"], case["helo"]],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines() + ["", ""]
    wanted = case["result"]
    wanted = [wanted] if isinstance(wanted, str) else wanted
    problem = done.stderr.strip()
    if lines[0] not in wanted:
        problem = f"{lines[0]!r} instead of {wanted}"
    bad = lines[0] in ("fail", "temperror", "permerror")
    if done.returncode != bad:
        problem = f"exit {done.returncode}"
    text = case.get("explanation")
    if text == "DEFAULT":
        if " is not permitted to send for " not in lines[1]:
            problem = f"explanation {lines[1]!r} instead of ours"
    elif text and lines[1] != text:
        problem = f"explanation {lines[1]!r} instead of {text!r}"
    return f"{name}: {problem}\n{done.stdout}" if problem else None


def main():
    try:
        import yaml
    except ImportError:
        skip("python3-yaml is not installed, which reads the SPF test suite")
    text = suite()
    with Folder() as folder, \
            concurrent.futures.ThreadPoolExecutor(24) as pool:
        (folder / "empty.conf").write_text("")
        waiting = []
        for scenario in yaml.safe_load_all(text):
            names = Names(scenario["zonedata"])
            waiting += [pool.submit(run_case, folder, names,
                                    f"{scenario['description']}/{name}", case)
                        for name, case in scenario["tests"].items()]
        wrong = [w.result() for w in waiting if w.result()]
        print(f"  {len(waiting)} cases, {len(wrong)} wrong")
        assert not wrong, "\n".join(wrong)
        assert len(waiting) == CASES, "another release of the suite?"


if __name__ == "__main__":
    main()
