"""Messages out of one instance's queue into a folder, and into another's."""
import json
import os
import pathlib
import subprocess
import sys
import traceback

from outpost import BIN, Folder, Instance, Sink, free_port, wait_until

CONF = '''
outbound = {outbound}
retry {{ wait = 1h }}
route "*.example" {{ servers = {{ "smtp://127.0.0.1:{sink}" }} }}
line "bulk" {{ count = 1 }}
'''
BODIES = [b"short\r\n", b".\r\n..\r\n. x\r\n", b"\xc3\xa9\xff 8-bit\r\n",
          b"x" * 990 + b"\r\n", b"y" * 70 + b"\r\n", b"\r\n\r\n\r\n"]
LARGE = (b"0123456789" * 7 + b"\r\n") * 6000  # stands in a file of its own


def message(n, body):
    return b"Subject: m%d\r\nX-Test: %d\r\n\r\n" % (n, n) + body


class World:
    def __init__(self, folder, sink):
        self.folder = folder
        self.sink = sink
        self.old = Instance(folder / "old", CONF.format(
            outbound="off", sink=sink.port))
        self.new = Instance(folder / "new", CONF.format(
            outbound="off", sink=sink.port))

    def send(self, text, *words, to=("b@to.example",)):
        done = self.old.sendmail(text, "-i", "-f", "a@from.example", *words,
                                 "--", *to)
        assert done.returncode == 0, done.stderr

    def run(self, instance, *words, expect=0, **options):
        done = instance.command("queue", *words, check=False, **options)
        assert done.returncode == expect, \
            (words, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def empty(self):
        self.run(self.old, "delete", "--all", "--yes")
        self.run(self.new, "delete", "--all", "--yes")


def strip_import(data):
    """The message behind the header that the import put before it."""
    assert data.startswith(b"Received: by test.outpost.example (Outpost, "
                           b"imported, was "), data[:200]
    lines = data.split(b"\r\n")
    n = 1
    while lines[n][:1] in b"\t ":
        n += 1
    return b"\r\n".join(lines[n:])


def test_move_byte_for_byte(w):
    """Export, delete, import elsewhere: delivered byte for byte, with the
    envelope's parameters."""
    texts = [message(n, b) for n, b in enumerate(BODIES + [LARGE])]
    for text in texts:
        w.send(text.replace(b"\r\n", b"\n"), "-N", "success,failure",
               "-R", "hdrs", "-V", "env+1")
    assert len(w.old.queue()) == len(texts)
    out = w.run(w.old, "export", w.folder / "moved", "--delete")
    assert f"{len(texts)} messages moved" in out, out
    assert not w.old.queue()
    files = sorted((w.folder / "moved").glob("*.eml"))
    contents = [f.read_bytes() for f in files]
    assert len(files) == len(texts)
    one = json.loads(files[0].with_suffix(".json").read_text())
    assert one["sender"] == "a@from.example"
    assert one["recipients"] == [
        {"address": "b@to.example", "notify": ["success", "failure"],
         "orcpt": one["recipients"][0]["orcpt"]}], one
    assert one["ret"] == "headers" and one["envid"] == "env+1", one
    out = w.run(w.new, "import", w.folder / "moved")
    assert f"{len(texts)} messages imported" in out, out
    shown = w.new.json("queue", "show", w.new.queue()[0]["id"])[0]
    assert shown["origin"] == "import", shown
    w.new.command("outbound", "on")
    w.new.wait_empty()
    got = w.sink.wait(len(texts))
    assert sorted(strip_import(g) for g in got) == sorted(contents)
    for text in texts:
        subject, _, body = text.partition(b"\r\n\r\n")
        assert sum(c.endswith(b"\r\n\r\n" + body) and
                   subject.split(b"\r\n")[0] in c
                   for c in contents) == 1, text[:80]
    mail = w.sink.envelopes()[-1]
    text = json.dumps(mail)
    assert "env+1" in text.replace("env+2B1", "env+1"), text
    w.new.command("outbound", "off")


def test_twice(w):
    """The same folder again: nothing a second time, unless --again."""
    w.send(b"Subject: twice\n\nx\n")
    w.run(w.old, "export", w.folder / "twice")
    assert len(w.old.queue()) == 1
    assert "1 message imported" in w.run(w.new, "import", w.folder / "twice")
    out = w.run(w.new, "import", w.folder / "twice")
    assert "0 messages imported, 1 had been imported before" in out, out
    assert len(w.new.queue()) == 1
    out = w.run(w.new, "import", "--again", w.folder / "twice")
    assert "1 message imported" in out and len(w.new.queue()) == 2
    # and an export does not write over what is there
    out = w.run(w.old, "export", w.folder / "twice", "--delete", expect=1)
    assert "export into another folder" in out, out
    assert len(w.old.queue()) == 1
    w.empty()


def test_interrupted(w):
    """Killed between "begun" and the answer: said, not sent twice."""
    w.send(b"Subject: i\n\nx\n")
    w.run(w.old, "export", w.folder / "cut")
    name = next((w.folder / "cut").glob("*.json")).name
    (w.folder / "cut" / "imported").write_text(f"{name} begun\n")
    out = w.run(w.new, "import", w.folder / "cut", expect=1)
    assert "interrupted" in out and not w.new.queue(), out
    w.empty()


def test_hold_and_expiry(w):
    """What is held stays held there, and for as long."""
    for n in range(3):
        w.send(b"Subject: h%d\n\nx\n" % n, to=[f"h{n}@to.example"])
    ids = {i["recipient"]: i["id"] for i in w.old.queue()}
    w.run(w.old, "hold", ids["h0@to.example"])
    w.run(w.old, "hold", "--until", "2099-01-02T03:04:05Z",
          ids["h1@to.example"])
    w.run(w.old, "export", w.folder / "held", "--delete")
    assert not w.old.queue()
    w.run(w.new, "import", w.folder / "held")
    items = {i["recipient"]: i for i in w.new.queue()}
    assert items["h0@to.example"]["state"] == "held", items
    assert items["h0@to.example"]["next_try"] is None, items
    assert items["h1@to.example"]["state"] == "held", items
    assert items["h1@to.example"]["next_try"] == "2099-01-02T03:04:05Z"
    assert items["h2@to.example"]["state"] == "ready", items
    w.empty()


def test_partly_sent(w):
    """Some of it was delivered: with --delete it stays whole in the queue; a
    backup has only who is still to get it."""
    w.old.configure(CONF.format(outbound="off", sink=w.sink.port)
                    + 'route "gone.test" { servers = { "smtp://127.0.0.1:'
                    + f'{free_port()}" }} }}\n')
    w.old.command("reload")
    w.send(b"Subject: p\n\nx\n", to=["b@to.example", "c@gone.test"])
    before = len(w.sink.messages())
    w.old.command("outbound", "on")
    w.sink.wait(before + 1)
    assert wait_until(lambda: [i["recipient"] for i in w.old.queue()] ==
                      ["c@gone.test"] and
                      w.old.queue()[0]["state"] == "deferred"), w.old.queue()
    w.old.command("outbound", "off")
    out = w.run(w.old, "export", w.folder / "part", "--delete", expect=1)
    assert "some of it was sent" in out and "1 left in the queue" in out, out
    assert len(w.old.queue()) == 1
    assert not list((w.folder / "part").glob("*.*")), \
        os.listdir(w.folder / "part")
    w.run(w.old, "export", w.folder / "part")
    one = json.loads(next((w.folder / "part").glob("*.json")).read_text())
    assert [r["address"] for r in one["recipients"]] == ["c@gone.test"], one
    assert one["was"]["attempts"] == 1, one
    w.empty()


def test_bad_files(w):
    """Each bad file is named with its reason; the rest goes on."""
    folder = w.folder / "bad"
    for n in range(3):
        w.send(b"Subject: b%d\n\nx\n" % n)
    w.run(w.old, "export", folder)
    good = sorted(folder.glob("*.json"))
    text = json.loads(good[0].read_text())
    eml = good[0].with_suffix(".eml").read_bytes()

    def put(name, change=None, content=eml):
        one = dict(text)
        if change is not None:
            one.update(change)
        (folder / f"{name}.json").write_text(json.dumps(one))
        if content is not None:
            (folder / f"{name}.eml").write_bytes(content)

    put("crc", {}, eml.replace(b"x", b"z"))
    put("hodl", {"hodl": "until-released"})
    put("inject", {"sender": "a@b.example>\r\nRCPT TO:<c@d.example"})
    put("rcpt", {"recipients": [{"address": "no@"}]})
    put("none", {"recipients": []})
    put("noeml", content=None)
    put("lf", {"crc32c": None, "size_bytes": None},
        eml.replace(b"\r\n", b"\n"))
    (folder / "half.json").write_text('{"format": "outpost-1", "sen')
    (folder / "lonely.eml").write_bytes(eml)
    (folder / "link.json").symlink_to("/etc/passwd")
    (folder / "link.eml").symlink_to("/etc/passwd")
    os.mkfifo(folder / "fifo.json")
    (folder / "fifo.eml").write_bytes(eml)
    out = w.run(w.new, "import", folder, expect=1)
    assert "3 messages imported, 10 failed" in out, out
    for name, reason in {
            "crc": "crc32c", "hodl": "hodl: no such member",
            "inject": "line break", "rcpt": "address", "none": "recipients",
            "noeml": "No such file", "lf": "CRLF", "half": "line 1",
            "link": "", "fifo": "not a plain file",
            "lonely": "has no envelope"}.items():
        line = [x for x in out.splitlines() if f": {name}." in x]
        assert line and reason in line[0], (name, out)
    assert len(w.new.queue()) == 3
    objects = w.run(w.new, "import", folder, "--json", expect=1)
    states = [json.loads(x)["status"] for x in objects.splitlines()
              if x.startswith("{")]
    assert states.count("already") == 3 and states.count("failed") == 11, \
        states
    w.empty()


def test_filters_and_ids(w):
    """Only what is asked for; ids too."""
    for n in range(4):
        w.send(b"Subject: f%d\n\nx\n" % n, to=[f"f{n}@to.example"])
    ids = [i["id"] for i in w.old.queue()]
    w.run(w.old, "export", w.folder / "f", "--recipient", "f2@to.example")
    assert [p.stem for p in (w.folder / "f").glob("*.json")] == [ids[2]]
    w.run(w.old, "export", w.folder / "g", ids[0], ids[3])
    assert sorted(p.stem for p in (w.folder / "g").glob("*.json")) == \
        sorted([ids[0], ids[3]])
    out = w.run(w.old, "export", w.folder / "h", "0000000000001", expect=1)
    assert "not in the queue" in out, out
    assert "needs a folder" in w.run(w.old, "export", expect=2)
    assert "not expected" in w.run(w.old, "import", "x", "y", expect=2)
    assert "No such file" in w.run(w.old, "import", w.folder / "none",
                                   expect=1)


def test_keeper_not_running(w):
    """A backup from the spool itself; nothing is taken out without the
    keeper, and an import says what to do."""
    count = len(w.old.queue())
    assert count == 4
    w.old.stop()
    out = w.run(w.old, "export", w.folder / "cold")
    assert f"{count} messages exported" in out, out
    out = w.run(w.old, "export", w.folder / "cold2", "--delete", expect=1)
    assert "outpost start" in out, out
    assert not (w.folder / "cold2").exists()
    out = w.run(w.old, "import", w.folder / "cold", expect=1)
    assert "outpost start" in out and "3 not tried" in out, out
    w.old.start()
    assert len(w.old.queue()) == count
    # refused for want of a keeper is not imported
    out = w.run(w.new, "import", w.folder / "cold")
    assert f"{count} messages imported" in out, out
    w.empty()


def main():
    failed = 0
    tests = [t for n, t in globals().items() if n.startswith("test_")]
    only = sys.argv[1:]
    with Folder() as folder, Sink(folder / "sink") as sink:
        w = World(folder, sink)
        with w.old, w.new:
            for test in tests:
                if only and test.__name__ not in only:
                    continue
                try:
                    test(w)
                    print("ok", test.__name__)
                except Exception:
                    failed += 1
                    traceback.print_exc()
                    print("FAILED", test.__name__)
                    w.old.command("outbound", "off")
                    w.new.command("outbound", "off")
                    w.empty()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
