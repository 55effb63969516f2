"""A private Postfix: the Debian package unpacked, never installed.

It runs in a mount namespace of its own, where an overlay puts the unpacked
files over /usr and a private /etc with Postfix's users over /etc. Nothing of it
is visible outside, and nothing of it stays. Root only.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import time

POSTFIX_UID = 60025
PACKAGES = ["postfix", "libnsl2", "libtirpc3", "libicu72", "libdb5.3",
            "libsasl2-2"]


def why_not():
    """None when it can run here, else the reason."""
    if os.geteuid() != 0:
        return "needs root (a mount namespace)"
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        return "needs overlayfs"
    return None


def unpack(root):
    """Fetch and unpack into root/usr, once."""
    if (root / "usr/sbin/master").exists() or \
            (root / "usr/lib/postfix/sbin/master").exists():
        return
    debs = root / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    os.chmod(debs, 0o777)
    for package in PACKAGES:
        subprocess.run(["apt-get", "download", "-q", package], cwd=debs,
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg", "-x", deb, root], check=True)
    # Debian 12 merges /lib into /usr/lib: so must the overlay.
    if (root / "lib").is_dir() and not (root / "lib").is_symlink():
        shutil.copytree(root / "lib", root / "usr/lib", dirs_exist_ok=True,
                        symlinks=True)


class Postfix:
    """One instance. settings: main.cf names and values over the defaults;
    services: extra lines of master.cf."""

    def __init__(self, folder, root, port, settings=None):
        self.folder = pathlib.Path(folder)
        self.root = pathlib.Path(root)
        self.port = port
        self.settings = settings or {}
        self.process = None
        unpack(self.root)
        self.write()

    def write(self):
        etc = self.folder / "etc"
        (etc / "postfix").mkdir(parents=True, exist_ok=True)
        for name in ("queue", "data"):
            (self.folder / name).mkdir(exist_ok=True)
        passwd = pathlib.Path("/etc/passwd").read_text()
        group = pathlib.Path("/etc/group").read_text()
        if "\npostfix:" not in passwd:
            passwd += f"postfix:x:{POSTFIX_UID}:{POSTFIX_UID}::/nonexistent:/bin/false\n"
            group += f"postfix:x:{POSTFIX_UID}:\npostdrop:x:60026:\n"
        (etc / "passwd").write_text(passwd)
        (etc / "group").write_text(group)
        main = {
            "compatibility_level": "3.7",
            "queue_directory": self.folder / "queue",
            "data_directory": self.folder / "data",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "command_directory": "/usr/sbin",
            "meta_directory": "/etc/postfix",
            "shlib_directory": "/usr/lib/postfix",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "myhostname": "postfix.example.net",
            "mydestination": "",
            "local_recipient_maps": "",
            "local_transport": "error:no local mail",
            "alias_maps": "",
            "alias_database": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "smtputf8_enable": "no",
            "maillog_file": self.folder / "maillog",
            "maillog_file_prefixes": self.folder,
            "default_process_limit": "100",
            **self.settings,
        }
        text = "".join(f"{k} = {v}\n" for k, v in main.items())
        (etc / "postfix/main.cf").write_text(text)
        master = (self.root / "usr/share/postfix/master.cf.dist").read_text()
        lines = []
        for line in master.splitlines():
            if line.startswith("smtp      inet"):
                line = f"127.0.0.1:{self.port} inet n - n - - smtpd"
            fields = line.split()
            if len(fields) >= 8 and not line.startswith(("#", " ")) \
                    and fields[4] == "y":
                fields[4] = "n"  # no chroot: the libraries are not there
                line = " ".join(fields)
            lines.append(line)
        (etc / "postfix/master.cf").write_text("\n".join(lines) + "\n")
        for extra in ("dynamicmaps.cf", "postfix-files"):
            source = self.root / "etc/postfix" / extra
            dist = self.root / "usr/share/postfix" / extra
            for one in (source, dist):
                if one.exists():
                    shutil.copy(one, etc / "postfix" / extra)
        (etc / "postfix/dynamicmaps.cf").touch()
        (etc / "postfix/postfix-files.d").mkdir(exist_ok=True)

    def script(self, command):
        """Shell text that runs command inside the namespace."""
        return (
            "mount --make-rprivate / && "
            f"mount -t overlay overlay -o lowerdir={self.root}/usr:/usr /usr"
            f" && mount -t overlay overlay -o lowerdir={self.folder}/etc:/etc"
            f" /etc && {command}")

    def run(self, command, **options):
        return subprocess.run(["unshare", "-m", "sh", "-c",
                               self.script(command)], **options)

    def start(self):
        os.chown(self.folder / "data", POSTFIX_UID, 0)
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", self.script(
                "exec postfix -c /etc/postfix start-fg")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        deadline = time.monotonic() + 20
        import socket
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.settimeout(5)
                    if s.recv(100).startswith(b"220"):
                        return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("postfix did not start: " + self.log()[-2000:])

    def log(self):
        path = self.folder / "maillog"
        return path.read_text(errors="replace") if path.exists() else ""

    def master_pid(self):
        return int((self.folder / "queue/pid/master.pid").read_text())

    def pids(self):
        """The master and its children, as seen from here."""
        master = self.master_pid()
        found = [master]
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text()
                             .rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == master:
                found.append(int(entry.name))
        return found

    def enter(self, command, **options):
        """Run command in the running instance's namespace."""
        return subprocess.run(
            ["nsenter", "-m", "-t", str(self.master_pid()), "sh", "-c",
             command], **options)

    def stop(self):
        if not self.process:
            return
        try:
            os.kill(self.master_pid(), signal.SIGTERM)
        except (OSError, ValueError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None
