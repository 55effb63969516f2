"""Real clients to a real server: s-nail, git send-email, swaks, msmtp and
smtplib give mail to Outpost; a real Postfix, found by MX through unbound and
nsd, gets it, byte for byte apart from trace headers.
"""
import os
import pathlib
import smtplib
import stat
import subprocess

import postfix
from dns import Dns
from outpost import BIN, BUILD, Folder, Instance, free_port, skip, wait_until

TRACE = (b"return-path:", b"x-original-to:", b"delivered-to:", b"received:")


def without_trace(message):
    """The message without its leading trace headers, folded lines too."""
    lines = message.split(b"\n")
    while lines and (lines[0].lower().startswith(TRACE)
                     or lines[0][:1] in (b"\t", b" ")):
        lines.pop(0)
    return b"\n".join(lines)


def without_added(message, original):
    """Without the headers that sendmail completes and the original lacks."""
    head, _, body = message.partition(b"\n\n")
    had = original.partition(b"\n\n")[0].lower()
    kept, skipping = [], False
    for line in head.split(b"\n"):
        if line[:1] not in (b" ", b"\t"):
            name = line.split(b":")[0].lower()
            skipping = name in (b"date", b"message-id", b"from") and \
                name + b":" not in had
        if not skipping:
            kept.append(line)
    return b"\n".join(kept) + b"\n\n" + body


class Case:
    def __init__(self, folder, outpost):
        self.folder = folder
        self.outpost = outpost
        self.env = dict(os.environ, OUTPOST_CONF=str(outpost.conf),
                        HOME=str(folder), EMAIL="me@test.outpost.example")
        # A sendmail that keeps what it was given.
        self.wrapper = folder / "sendmail"
        self.wrapper.write_text(
            f'#!/bin/sh\ntee {folder}/given | {BIN}/sendmail "$@"\n')
        self.wrapper.chmod(self.wrapper.stat().st_mode | stat.S_IXUSR)

    def run(self, *words, **options):
        done = subprocess.run(words, env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60,
                              cwd=self.folder, **options)
        assert done.returncode == 0, (words, done.stdout.decode())
        return done

    def given(self):
        return (self.folder / "given").read_bytes()

    def s_nail(self):
        self.run("s-nail", "-:/", "-S", "v15-compat", "-S",
                 f"mta={self.wrapper}",
                 "-r", "me@test.outpost.example", "-s", "from s-nail é",
                 "s-nail@example.org",
                 input="Über allen Gipfeln\n.\nist Ruh.\n".encode())
        return self.given()

    def git_send_email(self):
        patch = self.folder / "0001-a.patch"
        patch.write_text(
            "From 0000000000000000000000000000000000000000 Mon Sep 17 "
            "00:00:00 2001\nFrom: Me <me@test.outpost.example>\n"
            "Date: Sun, 22 Nov 2026 10:00:00 +0000\n"
            "Subject: [PATCH] a change\n\nWhy.\n---\n"
            "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+.\n"
            "-- \n2.39\n\n")
        self.run("git", "send-email", "--quiet", "--confirm=never",
                 "--from=me@test.outpost.example", "--to=git@example.org",
                 "--suppress-cc=all",
                 f"--smtp-server={self.wrapper}", str(patch))
        return self.given()

    def swaks(self):
        text = b"Subject: from swaks\nTo: swaks@example.org\n\n..dots\n.\nx\n"
        data = self.folder / "data"
        data.write_bytes(text)
        self.run("swaks", "--silent", "2", "--server", "127.0.0.1", "--port",
                 str(self.outpost.port), "--from", "me@test.outpost.example",
                 "--to", "swaks@example.org", "--data", f"@{data}")
        return text + b"\n"  # swaks ends the data with a line of its own

    def msmtp(self):
        text = b"Subject: from msmtp\nTo: msmtp@example.org\n\nhello\n\n\n"
        self.run("msmtp", "--host=127.0.0.1", f"--port={self.outpost.port}",
                 "--from=me@test.outpost.example", "--tls=off", "--auth=off",
                 "--add-missing-from-header=off",
                 "--add-missing-date-header=off",
                 "msmtp@example.org", input=text)
        return text

    def smtplib(self):
        text = b"Subject: large\nTo: smtplib@example.org\n\n" + \
            b"0123456789abcdef" * 4 + b"\n"
        text += b"a line of a large message.\n" * 20000
        with smtplib.SMTP("127.0.0.1", self.outpost.port) as client:
            client.sendmail("me@test.outpost.example",
                            ["smtplib@example.org"],
                            text.replace(b"\n", b"\r\n"))
        return text


def received(maildir):
    return [p.read_bytes() for p in maildir.glob("new/*")]


def main():
    why = postfix.why_not()
    if why:
        skip(f"a private Postfix {why}")
    with Folder() as folder:
        mail = folder / "mail"
        mail.mkdir()
        os.chown(mail, postfix.POSTFIX_UID, postfix.POSTFIX_UID)
        server = postfix.Postfix(folder / "postfix", BUILD / "postfix",
                                 free_port(), {
            "virtual_mailbox_domains": "example.org",
            "virtual_mailbox_base": mail,
            "virtual_mailbox_maps": "static:all/",
            "virtual_uid_maps": f"static:{postfix.POSTFIX_UID}",
            "virtual_gid_maps": f"static:{postfix.POSTFIX_UID}",
            "message_size_limit": "50000000",
            "local_header_rewrite_clients": "",
        })
        zones = {"example.org": "@ MX 10 mx\n@ MX 5 away\n"
                                "mx A 127.0.0.1\naway A 127.0.0.3\n"}
        try:
            server.start()
            with Dns(folder, zones) as dns, Instance(folder / "outpost", f'''
resolvers = {{ "127.0.0.1:{dns.port}" }}
port = {server.port}
allow-local-mx = on
''') as outpost:
                case = Case(folder, outpost)
                for name in ("swaks", "msmtp", "smtplib", "s_nail",
                             "git_send_email"):
                    original = getattr(case, name)()
                    found = wait_until(lambda: received(mail / "all"), 20)
                    assert found, f"{name}: nothing arrived\n" \
                        f"{outpost.text()}\n{server.log()[-2000:]}"
                    assert len(found) == 1, f"{name}: {len(found)} arrived"
                    got = without_trace(found[0])
                    if got != original:
                        got = without_added(got, original)
                    assert got == original, \
                        f"{name}: given {original[:600]!r}\n" \
                        f"arrived {found[0][:1200]!r}"
                    print(f"{name}: {len(original)} bytes, the same")
                    for path in (mail / "all").glob("new/*"):
                        path.unlink()
                outpost.wait_empty()
        finally:
            server.stop()


if __name__ == "__main__":
    main()
