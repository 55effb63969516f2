"""A private Exim that takes all mail into a maildir. See unpacked.py."""
import os

from unpacked import Server, why_not, write_users  # noqa: F401

UID = 60027
CONFIG = """
primary_hostname = exim.example.net
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
pid_file_path = {folder}/spool/pid
daemon_smtp_ports = {port}
local_interfaces = <; {addresses}
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
tls_advertise_hosts = ${{if eq{{$received_ip_address}}{{{plain}}}{{}}{{*}}}}
tls_certificate = {folder}/etc/exim4/${{received_ip_address}}.pem
tls_privatekey = {folder}/etc/exim4/${{received_ip_address}}.pem
acl_smtp_rcpt = take
host_lookup =
keep_environment =
message_size_limit = 50M
begin acl
take:
  accept
begin routers
all:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  user = Debian-exim
"""


class Exim(Server):
    packages = ("exim4-base", "exim4-daemon-light", "libdb5.3",
                "libgnutls-dane0", "libunbound8", "libidn12", "libnsl2",
                "libtirpc3", "libpcre2-8-0", "libevent-2.1-7")

    def write(self):
        etc = self.folder / "etc"
        write_users(etc, [f"Debian-exim:x:{UID}:{UID}::/nonexistent:"
                          "/bin/false"], [f"Debian-exim:x:{UID}:"])
        (etc / "exim4").mkdir()
        plain = "none"
        for address, pem in self.addresses.items():
            if pem is None:
                plain = address
                continue
            copy = etc / "exim4" / f"{address}.pem"
            copy.write_text(pem.read_text())
            os.chmod(copy, 0o400)
            os.chown(copy, UID, UID)
        for name in ("mail", "log", "spool"):
            os.chown(self.folder / name, UID, UID)
        (etc / "exim4/exim4.conf").write_text(CONFIG.format(
            folder=self.folder, port=self.port, plain=plain,
            addresses=" ; ".join(self.addresses)))
        return "exec /usr/sbin/exim4 -bdf -q1h"
