"""outpost lines set: a group's number live, and saved with all else of the
file as it was."""
import os
import pathlib
import shutil
import subprocess
import sys
import traceback

from outpost import BIN, Folder, Instance, Sink, wait_until

CONF = '''
# before the group
route "*.example" {{ servers = {{ "smtp://127.0.0.1:{sink}" }} }}
line "bulk" {{ # why three: "count = 9" is too many
	messages-per-connection = 7
	count = 3  # three
	node "other" {{ localname = "count.example.org" }}
}}
include("more.conf")
'''
MORE = 'line "inner" { messages-per-connection = 5 } # no count yet\n'


def counts(o):
    """The configured number of each group, as outpost check -n says."""
    found, group = {}, None
    for line in o.command("check", "-n").stdout.splitlines():
        words = line.split()
        if words[:1] == ["line"]:
            group = words[1].strip('"')
        if words[:2] == ["count", "="]:
            found[group] = int(words[2])
    return found


def send(o, n):
    for i in range(n):
        done = o.sendmail(f"Subject: {i}\n\nx\n", "-f", "a@from.example",
                          "--", f"b@d{i}.example")
        assert done.returncode == 0, done.stderr


def lines(o):
    return [(x["group"], x["line"]) for x in o.json("lines")]


def test_live(o, sink):
    """More lines serve at once, fewer go; mail is delivered throughout."""
    before = [x for x in lines(o) if x[0] == "default"]
    assert len(before) == 20, before
    out = o.command("lines", "set", "default", "23").stdout
    assert out == "default: 23 lines\n", out
    assert len([x for x in lines(o) if x[0] == "default"]) == 23
    send(o, 12)
    o.wait_empty()
    o.command("lines", "set", "default", "2")
    send(o, 12)
    o.wait_empty()
    assert wait_until(lambda: len([x for x in lines(o)
                                   if x[0] == "default"]) == 2), lines(o)
    sink.wait(24)
    assert "lines-set" in o.log()
    # the file says something else, and a reload goes by it
    o.command("reload")
    assert wait_until(lambda: len([x for x in lines(o)
                                   if x[0] == "default"]) == 20), lines(o)


def test_saved(o, sink):
    """--save: the number, and nothing else, changes in the file."""
    text = o.conf.read_text()
    os.chmod(o.conf, 0o640)
    out = o.command("lines", "set", "bulk", "5", "--save").stdout
    assert "bulk: 5 lines" in out and "outpost.conf.bak" in out, out
    assert o.conf.read_text() == text.replace("count = 3  #",
                                              "count = 5  #")
    assert (o.conf.stat().st_mode & 0o777) == 0o640
    backup = pathlib.Path(str(o.conf) + ".bak")
    assert backup.read_text() == text
    assert counts(o)["bulk"] == 5
    assert not list(o.folder.glob("*.new"))


def test_saved_elsewhere(o, sink):
    """A group of an included file; and one without a block."""
    more = o.folder / "more.conf"
    o.command("lines", "set", "inner", "4", "--save")
    assert counts(o)["inner"] == 4
    assert "messages-per-connection = 5" in more.read_text()
    assert "# no count yet" in more.read_text()
    o.command("lines", "set", "--save", "default", "6")
    assert counts(o)["default"] == 6, counts(o)
    o.command("reload")
    assert len([x for x in lines(o) if x[0] == "default"]) == 6


def test_refused(o, sink):
    text = o.conf.read_text()
    for words, status, why in (
            (["nobody", "3"], 1, "no such line group"),
            (["bulk", "0"], 2, "not a number"),
            (["bulk", "10001"], 2, "not a number"),
            (["bulk", "-1"], 2, ""), (["bulk"], 2, "usage"),
            (["bulk", "3", "4"], 2, "usage")):
        done = o.command("lines", "set", *words, "--save", check=False)
        assert done.returncode == status and why in done.stderr, \
            (words, done.returncode, done.stderr)
    assert o.conf.read_text() == text
    assert o.command("lines", "dance", check=False).returncode == 2


def test_others_may_not(o, sink):
    """Only root and Outpost's own user change it."""
    if os.getuid() != 0:
        print("skipped: needs root")
        return
    copy = o.folder / "bin"
    shutil.copytree(BIN, copy, symlinks=True)
    done = subprocess.run(
        ["setpriv", "--reuid=1", "--regid=1", "--clear-groups",
         copy / "outpost", "lines", "set", "bulk", "9", "-c",
         o.folder / "open.conf"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1 and "only root" in done.stderr, done


def main():
    failed = 0
    tests = [t for n, t in globals().items() if n.startswith("test_")]
    with Folder() as folder, Sink(folder / "sink") as sink:
        o = Instance(folder / "o", CONF.format(sink=sink.port))
        (o.folder / "more.conf").write_text(MORE)
        # the same instance, as anybody may name it
        (o.folder / "open.conf").write_text(o.base)
        with o:
            for test in tests:
                try:
                    test(o, sink)
                    print("ok", test.__name__)
                except Exception:
                    failed += 1
                    traceback.print_exc()
                    print("FAILED", test.__name__)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
