"""make install into a folder: what is installed runs from there, and
uninstalling leaves nothing behind but the configuration.
"""
import os
import subprocess

from outpost import BIN, REPO, Folder

INSTALL = REPO / "tests/install.sh"


def main():
    with Folder() as folder:
        root = folder / "root"
        subprocess.run([INSTALL, root, "/usr/local", BIN], check=True,
                       cwd=REPO)
        sbin = root / "usr/local/sbin"
        conf = folder / "outpost.conf"
        conf.write_text('localname = "a.example.com"\nspool = "spool"\n'
                        'runtime = "run"\nlog-to = "log"\noutbound = off\n')
        env = dict(os.environ, OUTPOST_CONF=str(conf))

        def run(*words, **options):
            done = subprocess.run([sbin / words[0], *words[1:]], env=env,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True,
                                  timeout=60, **options)
            assert done.returncode == 0, (words, done.stdout)
            return done.stdout

        run("outpost", "check")
        run("outpost", "start")
        try:
            number = run("sendmail", "-v", "x@example.org",
                         input="Subject: x\n\nx\n").strip()
            assert number in run("mailq"), "not in the queue"
            assert "x@example.org" in run("outpost", "queue", "list")
        finally:
            run("outpost", "stop")
        subprocess.run([INSTALL, "--remove", root, "/usr/local"], check=True,
                       cwd=REPO, stdout=subprocess.DEVNULL)
        left = [str(p.relative_to(root)) for p in root.rglob("*")
                if not p.is_dir()]
        assert left == ["etc/outpost/outpost.conf"], left


if __name__ == "__main__":
    main()
