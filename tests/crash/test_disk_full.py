"""A full disk: new mail is refused with 452 and exit 75, nothing accepted
before is harmed, and accepting goes on when there is room again.
"""
import os
import smtplib
import subprocess

from load import Load, reckon
from outpost import Folder, Instance, Sink, skip, wait_until

CONF = '''
outbound = off
route "*.example" { servers = { "smtp://127.0.0.1:%d" } }
'''


def fill(path):
    """Take what is left but for a few blocks."""
    with open(path, "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 65536)
        except OSError:
            pass


def main():
    with Folder() as folder, Sink(folder / "arrived") as sink:
        disk = folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs",
                        str(disk)], check=True)
        try:
            load = Load(folder)
            outpost = Instance(folder / "instance", CONF % sink.port,
                               spool=str(disk / "spool"))
            with outpost:
                load.start(outpost.port, 500)
                load.finish()
                assert len(load.acknowledged) == 500
                fill(disk / "filler")
                refused = 0
                for _ in range(30000):
                    # What fits into the segments at hand is still taken.
                    load.start(outpost.port, 2000, size=16000)
                    before = len(load.acknowledged)
                    load.finish()
                    if len(load.acknowledged) < before + 2000:
                        refused = 1
                        break
                assert refused, "never refused"
                with smtplib.SMTP("127.0.0.1", outpost.port) as client:
                    try:
                        client.sendmail("a@b.example", ["c@d.example"],
                                        "x\r\n" * 20000)
                        assert False, "accepted with a full disk"
                    except smtplib.SMTPResponseException as reply:
                        assert reply.smtp_code in (451, 452), reply
                    except smtplib.SMTPRecipientsRefused as refusal:
                        code = list(refusal.recipients.values())[0][0]
                        assert code in (451, 452), refusal
                done = outpost.sendmail("To: x@y.example\n\n" + "x\n" * 60000,
                                        "-t", "-i")
                assert done.returncode == 75, done
                os.unlink(disk / "filler")
                assert wait_until(lambda: outpost.sendmail(
                    "Subject: again\nX-Load: 999999\n\nround0@load.example\n",
                    "-f", "round0@load.example", "z@y.example"
                ).returncode == 0, 10), outpost.text()
                outpost.command("outbound", "on")
                outpost.wait_empty(120)
            found = sink.messages()
            reckon(load, found, 0)
        finally:
            subprocess.run(["umount", "-l", str(disk)])


if __name__ == "__main__":
    if os.geteuid() != 0:
        skip("needs root to mount a small file system")
    main()
