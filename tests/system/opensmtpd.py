"""A private OpenSMTPD that takes all mail into a maildir. See unpacked.py."""
import os

from unpacked import Server, why_not, write_users  # noqa: F401

UID = 60028


class Opensmtpd(Server):
    packages = ("opensmtpd", "libdb5.3", "libevent-2.1-7", "libpam0g")
    empty = ("/run", "/var/spool", "/var/lib")

    def write(self):
        etc = self.folder / "etc"
        write_users(etc, [
            f"opensmtpd:x:{UID}:{UID}::/nonexistent:/bin/false",
            f"opensmtpq:x:{UID + 1}:{UID + 1}::/nonexistent:/bin/false",
            f"keeper:x:{UID + 2}:{UID + 2}::{self.folder}/mail:/bin/sh"],
            [f"opensmtpd:x:{UID}:", f"opensmtpq:x:{UID + 1}:",
             f"keeper:x:{UID + 2}:"])
        os.chown(self.folder / "mail", UID + 2, UID + 2)
        lines, listens = [], []
        for i, (address, pem) in enumerate(self.addresses.items()):
            listen = f"listen on {address} port {self.port}"
            if pem is not None:
                copy = etc / f"{i}.pem"
                copy.write_text(pem.read_text())
                os.chmod(copy, 0o600)
                lines += [f'pki "p{i}" cert "{copy}"',
                          f'pki "p{i}" key "{copy}"']
                listen += f' tls pki "p{i}"'
            listens.append(listen)
        lines += listens + [
            f'action "keep" maildir "{self.folder}/mail" '
            'virtual { "@" = "keeper" }',
            'match from any for any action "keep"']
        (etc / "smtpd.conf").write_text("\n".join(lines) + "\n")
        return ("mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty && chmod "
                "711 /var/spool/smtpd /var/lib/opensmtpd/empty && exec "
                "/usr/sbin/smtpd -d -f /etc/smtpd.conf")
