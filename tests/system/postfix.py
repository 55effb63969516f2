"""A private Postfix: the Debian package unpacked, never installed, in a mount
namespace of its own (unpacked.py). Root only."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

from unpacked import has_greeting, inside, unpack, why_not, write_users

__all__ = ["POSTFIX_UID", "Postfix", "unpack", "why_not"]

POSTFIX_UID = 60025
PACKAGES = ["postfix", "libnsl2", "libtirpc3", "libicu72", "libdb5.3",
            "libsasl2-2"]


class Postfix:
    """One instance. settings: main.cf names and values over the defaults;
    services: {address: options of smtpd} of more listeners on the port;
    files: {name: text} of more files in its /etc."""

    def __init__(self, folder, root, port, settings=None, services=None,
                 files=None):
        self.folder = pathlib.Path(folder)
        self.root = pathlib.Path(root)
        self.port = port
        self.settings = settings or {}
        self.services = services or {}
        self.files = files or {}
        self.process = None
        unpack(self.root, PACKAGES)
        self.write()

    def write(self):
        etc = self.folder / "etc"
        (etc / "postfix").mkdir(parents=True, exist_ok=True)
        for name in ("queue", "data"):
            (self.folder / name).mkdir(exist_ok=True)
        write_users(etc, [f"postfix:x:{POSTFIX_UID}:{POSTFIX_UID}::"
                          "/nonexistent:/bin/false"],
                    [f"postfix:x:{POSTFIX_UID}:", "postdrop:x:60026:"])
        for name, text in self.files.items():
            (etc / name).write_text(text)
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
            if line.startswith("#tlsproxy "):
                line = line[1:]  # for TLS connections that are used again
            if line.startswith("smtp      inet"):
                line = f"127.0.0.1:{self.port} inet n - n - - smtpd"
            fields = line.split()
            if len(fields) >= 8 and not line.startswith(("#", " ")) \
                    and fields[4] == "y":
                fields[4] = "n"  # no chroot: the libraries are not there
                line = " ".join(fields)
            lines.append(line)
        lines += [f"{address}:{self.port} inet n - n - - smtpd {options}"
                  for address, options in self.services.items()]
        (etc / "postfix/master.cf").write_text("\n".join(lines) + "\n")
        for extra in ("dynamicmaps.cf", "postfix-files"):
            source = self.root / "etc/postfix" / extra
            dist = self.root / "usr/share/postfix" / extra
            for one in (source, dist):
                if one.exists():
                    shutil.copy(one, etc / "postfix" / extra)
        (etc / "postfix/dynamicmaps.cf").touch()
        (etc / "postfix/postfix-files.d").mkdir(exist_ok=True)

    def run(self, command, **options):
        """Run command in a namespace like the instance's."""
        return subprocess.run(
            inside(self.root, self.folder / "etc", command), **options)

    def start(self):
        os.chown(self.folder / "data", POSTFIX_UID, 0)
        self.process = subprocess.Popen(
            inside(self.root, self.folder / "etc",
                   "exec postfix -c /etc/postfix start-fg"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if has_greeting("127.0.0.1", self.port):
                return
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
