"""sendmail from outside: bytes, envelopes, exit statuses and hostile callers
(hazards 1 to 12), against a keeper that is played here, so that every byte it
is given can be looked at; then against the real one."""
import os
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from outpost import BIN, Folder, Instance, wait_until

SUBMIT, DATA, END, ACCEPTED, REFUSED = 20, 21, 22, 24, 25
SENDMAIL = BIN / "sendmail"
ID = (1700000000000000 << 12) + 5
ID_TEXT = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[ID >> s & 31]
                  for s in range(60, -1, -5))


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        taken, self.data = self.data[:n], self.data[n:]
        assert len(taken) == n
        return taken

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number(">I"))


def read_envelope(payload):
    """common/messages.c, envelope_put."""
    r = Reader(payload)
    e = {"sender": r.text()}
    for name in ("origin", "body", "ret", "smtputf8", "requiretls"):
        e[name] = r.number(">B")
    e["priority"] = r.number(">b")
    e["uid"] = r.number(">I")
    for name in ("login", "client", "envid", "line"):
        e[name] = r.text()
    e["hold"], e["expires"] = r.number(">Q"), r.number(">Q")
    e["head"], e["tail"] = r.text(), r.text()
    e["about"] = r.number(">Q")
    assert r.number(">I") == 0
    e["to"], e["notify"] = [], []
    for _ in range(r.number(">I")):
        e["notify"].append(r.number(">B"))
        e["to"].append(r.text())
        r.text()
    assert not r.data
    return e


class Keeper(threading.Thread):
    """Accepts all, or answers by mode: a refusal (payload), "close"."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.path = str(folder / "run/submit.sock")
        (folder / "run").mkdir()
        self.accepted, self.aborted, self.mode = [], 0, None
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.listen(64)
        self.start()

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            with connection:
                try:
                    self.serve(connection)
                except (EOFError, OSError):
                    self.aborted += 1

    @staticmethod
    def frame(connection):
        def read(n):
            data = b""
            while len(data) < n:
                more = connection.recv(n - len(data))
                if not more:
                    raise EOFError
                data += more
            return data
        kind, _, length, number = struct.unpack(">HHIQ", read(16))
        return kind, number, read(length)

    def serve(self, connection):
        data = []
        while True:
            kind, number, payload = self.frame(connection)
            if kind == SUBMIT:
                envelope = read_envelope(payload)
            elif kind == DATA:
                assert len(payload) <= 65536
                data.append(payload)
            elif kind == END:
                break
        data = b"".join(data)
        assert struct.unpack(">Q", payload)[0] == len(data)
        if self.mode == "close":
            return
        if self.mode:
            connection.sendall(struct.pack(
                ">HHIQ", REFUSED, 0, len(self.mode), number) + self.mode)
            return
        self.accepted.append((envelope, data))
        connection.sendall(struct.pack(">HHIQQ", ACCEPTED, 0, 8, number, ID))


def refusal(verdict, status, text):
    return struct.pack(">B", verdict) + b"".join(
        struct.pack(">I", len(t)) + t for t in (status, text))


class Test:
    def __init__(self, folder):
        self.folder = folder
        self.keeper = Keeper(folder)
        self.conf = folder / "conf"
        (folder / "aliases").write_text("root: admin@ex.example\n"
                                        "prog: |/bin/cat\n")
        self.conf.write_text(
            'localname = "mail.test.example"\nspool = "spool"\n'
            'runtime = "run"\naliases = "aliases"\n'
            'timezone = "Asia/Kolkata"\nlimits { recipients = 1000 }\n')
        for name in ("conf", "aliases"):
            os.chmod(folder / name, 0o644)

    def run(self, words, text=b"\n", env=None, program=SENDMAIL, **options):
        """The finished process; self.got: what the keeper accepted."""
        before = len(self.keeper.accepted)
        done = subprocess.run(
            [program, *words], input=text, timeout=60,
            env={"OUTPOST_CONF": str(self.conf), **(env or {})},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.got = self.keeper.accepted[before:]
        assert len(self.got) == (done.returncode == 0), done
        assert done.returncode == 0 or done.stderr, done
        return done

    def ok(self, words, text=b"\n", **options):
        done = self.run(words, text, **options)
        assert done.returncode == 0, done
        return self.got[0]

    def fails(self, status, words, text=b"\n", **options):
        done = self.run(words, text, **options)
        assert done.returncode == status, done
        return done.stderr

    # 1, 5, 6: recipients are data
    def test_recipients(self):
        words = ["-X/tmp/x", "-C/etc/passwd", "-oQ/tmp", "--retract",
                 "${run{x}}@a.example", "`id`@a.example", "%n@a.example",
                 '"../../x"@a.example', '"|x"@a.example']
        envelope, _ = self.ok(["-i", "--", *words])
        expected = [w if "@" in w else w + "@mail.test.example"
                    for w in words]
        assert envelope["to"] == [w.encode() for w in expected]
        for word in ("|cmd", "/etc/file", ":include:/etc/shadow", '"|x"',
                     "prog"):
            self.fails(67, [word])
            assert not os.path.exists("/tmp/x")
        for word in ("a@b.example,c", "a@b.example, c@d.example", "a b", ""):
            self.fails(64, ["--", word])
        for field in ("|cmd", "/etc/file", "root, |x"):
            self.fails(67, ["-t"], f"To: {field}\n\n".encode())
        assert self.ok(["root"])[0]["to"] == [b"admin@ex.example"]
        envelope, _ = self.ok(["-t"], b"To: -X/tmp/x, --hold\n\n")
        assert envelope["to"] == [b"-X/tmp/x@mail.test.example",
                                  b"--hold@mail.test.example"]

    # 2: nothing gets into envelope or header through names
    def test_injection_by_names(self):
        evil = "a@b.example\r\nRCPT TO:<x@y.example>"
        self.fails(64, ["-f", evil, "a@b.example"])
        self.fails(64, ["-F", "x\nBcc: y@z.example", "a@b.example"])
        _, data = self.ok(["a@b.example"], env={"NAME": "x\nBcc: y",
                                                "EMAIL": evil})
        assert b"Bcc" not in data and b"RCPT" not in data
        _, data = self.ok(["-F", "J\u00f6rg, X", "a@b.example"])
        assert b"From: =?UTF-8?B?SsO2cmcsIFg=?= <" in data
        self.fails(64, ["-f", "a@b.example, c@d.example", "a@b.example"])

    def test_senders(self):
        for words, sender in ((["-f", ""], b""), (["-f", "<>"], b""),
                              (["-f<>"], b""), (["-r", "x@y.example"],
                                                b"x@y.example"),
                              (["-fx@y.example"], b"x@y.example"),
                              (["-f", "joe"], b"joe@mail.test.example")):
            envelope, data = self.ok([*words, "a@b.example"])
            assert envelope["sender"] == sender, envelope
            assert (b"From: " + sender + b"\r\n" in data) == bool(sender)
        envelope, data = self.ok(["a@b.example"])
        assert envelope["uid"] == os.getuid()
        assert b"<" + envelope["sender"] + b">" in data or \
            b"From: " + envelope["sender"] in data
        assert envelope["head"] == (
            b"Received: by mail.test.example (Outpost, from userid %d)"
            b"\r\n\tid " % os.getuid())
        assert envelope["tail"].startswith(b";\r\n\t")
        assert envelope["tail"].endswith(b"+0530")
        assert envelope["origin"] == 1

    # 3, 4: -t
    def test_headers(self):
        self.fails(65, ["-t"], b"To: a\n Bcc: x\n\n")
        envelope, data = self.ok(
            ["-t"], b"To: a@b.example\n   \n ,c@d.example\nBcc: e@f.example\n"
            b"Subject: s\nno field\n")
        assert envelope["to"] == [b"a@b.example", b"c@d.example",
                                  b"e@f.example"]
        assert b"e@f.example" not in data
        assert data.endswith(b"\r\n\r\nno field\r\n")
        _, data = self.ok(["a@b.example"], b" To: x\n\ny\n")
        assert data.endswith(b"\r\n\r\n To: x\r\n\r\ny\r\n")
        self.fails(65, ["-t"], b"To: a@b.example\nX: \0\n\n")
        self.fails(65, ["-t"], b"To: a@b.example\nX: " + b"x" * (1 << 20))
        self.ok(["-t"], b"To: a@b.example\nX: " + b"x" * 1000000)
        self.fails(64, ["-t"], b"Subject: x\n\n")
        self.fails(64, [], b"To: a@b.example\n\n")
        many = b"To: " + b",".join(b"u%d@b.example" % i
                                   for i in range(50000)) + b"\n\n"
        assert b"recipients" in self.fails(69, ["-t"], many)
        start = time.monotonic()
        for evil in (b"(" * 10000 + b")" * 10000 + b" a@b.example",
                     b"<>" * 100000, b'"' * 99999, b"[" * 99999,
                     b"g:" * 50000):
            self.fails(65, ["-t"], b"To: " + evil + b"\n\n")
        assert time.monotonic() - start < 5
        envelope, _ = self.ok(["-t", "more@b.example"],
                              b"To: f: a@b.example, C <c@d.example>;\n\n")
        assert envelope["to"] == [b"more@b.example", b"a@b.example",
                                  b"c@d.example"]

    # 11: the rule of the manual
    def test_body(self):
        head = b"To: a@b.example\nFrom: c@d.example\nDate: x\nMessage-ID: y\n\n"
        made = head.replace(b"\n", b"\r\n")
        for text, stored, with_i in (
                (b"a\n.\nb", b"a\r\n", b"a\r\n.\r\nb\r\n"),
                (b"a\r.\rb", b"a\r\n", b"a\r\n.\r\nb\r\n"),
                (b"a\n.\r\nb", b"a\r\n", b"a\r\n.\r\nb\r\n"),
                (b"\n..\n.x", b"\r\n..\r\n.x\r\n", b"\r\n..\r\n.x\r\n"),
                (b"a\rb\r\r\nc", b"a\r\nb\r\n\r\nc\r\n",
                 b"a\r\nb\r\n\r\nc\r\n"),
                (b"", b"", b"")):
            assert self.ok(["-t"], head + text)[1] == made + stored
            assert self.ok(["-ti"], head + text)[1] == made + with_i
            assert self.ok(["-t", "-oi"], head + text)[1] == made + with_i
        assert self.ok(["-t"], head + b"x\n")[0]["body"] == 0
        assert self.ok(["-t"], head + b"\xe9\n")[0]["body"] == 1
        assert self.ok(["-t", "-B8BITMIME"], head)[0]["body"] == 1
        self.fails(65, ["-t"], head + b"a\0b\n")
        self.fails(65, ["-t"], head + b"a" * (3 << 20) + b"\0\n")

    def test_utf8(self):
        envelope, _ = self.ok(["a@b.example"], "Subject: \u00fc\n\n".encode())
        assert (envelope["smtputf8"], envelope["body"]) == (1, 1)
        envelope, _ = self.ok(["a@b.example"], b"Subject: \xfc\n\n")
        assert (envelope["smtputf8"], envelope["body"]) == (0, 1)
        envelope, _ = self.ok(["\u00fc@b.example"])
        assert envelope["smtputf8"] == 1
        envelope, _ = self.ok(["a@b\u00fc.example"])
        assert envelope["to"] == [b"a@xn--b-eha.example"]
        assert envelope["smtputf8"] == 0

    def test_large(self):
        line = b"x" * (40 << 20)
        # far less memory than the message has bytes
        _, data = self.ok(["a@b.example"], b"\n" + line, preexec_fn=lambda:
                          resource.setrlimit(resource.RLIMIT_AS,
                                             (20 << 20, 20 << 20)))
        assert data.endswith(b"\r\n\r\n" + line + b"\r\n")
        aborted = self.keeper.aborted
        self.fails(69, ["a@b.example"], b"\n" + b"x\n" * (26 << 20))
        assert wait_until(lambda: self.keeper.aborted == aborted + 1)

    # 12
    def test_secrets(self):
        _, data = self.ok(
            ["-t"], b"Return-Path: <r@s.example>\nBCC : hidden@b.example\n"
            b"Resent-Bcc: hidden2@b.example\nTo: a@b.example\n"
            b"Message-ID: <x>y>\n\n")
        assert b"hidden" not in data and b"Return-Path" not in data
        assert data.count(b"\nMessage-ID: ") == 1
        envelope, data = self.ok(
            ["-t"], b"Resent-To: new@b.example\nTo: old@b.example\n\n")
        assert envelope["to"] == [b"new@b.example"]
        for name in (b"From", b"Date", b"Message-ID"):
            assert data.count(b"Resent-" + name + b": ") == 1
        envelope, data = self.ok(["a@b.example"],
                                 b"From: root (Cron Daemon)\nTo: root\n\n")
        assert b"From: root@mail.test.example (Cron Daemon)\r\n" in data
        assert b"To: root@mail.test.example\r\n" in data

    # 7: descriptors, limits, death
    def test_descriptors(self):
        script = 'exec "$0" -v a@b.example '
        for redirect, status in (("<&-", 74), ("</", 74), (">&- 2>&-", 0),
                                 (">&-", 0), ("<&- >&- 2>&-", 74),
                                 ("</dev/null >/dev/full", 0)):
            before = len(self.keeper.accepted)
            done = subprocess.run(
                ["/bin/sh", "-c", script + redirect, SENDMAIL], input=b"x\n",
                env={"OUTPOST_CONF": str(self.conf)}, timeout=30,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            assert done.returncode == status, (redirect, done)
            assert len(self.keeper.accepted) == before + (status == 0)

    def test_limits(self):
        for which, value, status in (
                (resource.RLIMIT_FSIZE, 0, 0), (resource.RLIMIT_NOFILE, 4, 0),
                (resource.RLIMIT_CORE, 0, 0)):
            done = self.run(["-v", "a@b.example"], preexec_fn=lambda: (
                resource.setrlimit(which, (value, value))))
            assert done.returncode == status, (which, done)
            assert done.stdout.decode().strip() == ID_TEXT
        for value in (3, 2, 1, 0):
            done = self.run(["a@b.example"], preexec_fn=lambda: (
                resource.setrlimit(resource.RLIMIT_NOFILE, (value, value))))
            assert done.returncode != 0
        for mib in range(2, 40, 4):
            done = self.run(["a@b.example"], b"\n" + b"x" * (2 << 20),
                            preexec_fn=lambda: resource.setrlimit(
                                resource.RLIMIT_AS, (mib << 20, mib << 20)))
            assert done.returncode in (0, 71, 75, 78, 127, -11, -6), done

    def test_killed(self):
        """A message is there wholly or not at all."""
        accepted, aborted = len(self.keeper.accepted), self.keeper.aborted
        process = subprocess.Popen(
            [SENDMAIL, "-c", self.conf, "a@b.example"],
            stdin=subprocess.PIPE)
        process.stdin.write(b"\n" + b"x\n" * (2 << 20))
        process.stdin.flush()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        wait_until(lambda: self.keeper.aborted > aborted, 2)
        assert len(self.keeper.accepted) == accepted

    # 8: environment
    def test_environment(self):
        gone = tempfile.mkdtemp()

        def leave():
            os.chdir(gone)
            os.rmdir(gone)
            os.umask(0o777)
        env = {"TZ": ":/etc/shadow", "IFS": "/", "HOME": "/nonexistent",
               "LANG": "xx", "LC_ALL": "xx", "NAME": "", "PATH": ""}
        envelope, _ = self.ok(["a@b.example"], env=env, preexec_fn=leave)
        assert envelope["tail"].endswith(b"+0530")
        self.ok(["a@b.example"], program="", executable=SENDMAIL)
        self.ok(["-N", "never", "-R", "hdrs", "-V", "e+id", "a@b.example"])
        envelope = self.got[0][0]
        assert (envelope["notify"], envelope["ret"], envelope["envid"]) == \
            ([1], 2, b"e+id")

    # what comes of a keeper's answer, or of none
    def test_answers(self):
        for verdict, status, expected in (
                (1, b"4.3.1", 75), (2, b"5.1.1", 67), (2, b"5.7.1", 77),
                (2, b"5.3.4", 69)):
            self.keeper.mode = refusal(verdict, status, b"because")
            assert b"because" in self.fails(expected, ["a@b.example"])
        self.keeper.mode = "close"
        self.fails(75, ["a@b.example"])
        self.keeper.mode = None
        os.rename(self.keeper.path, self.keeper.path + ".away")
        start = time.monotonic()
        error = self.fails(75, ["a@b.example"])
        assert 1.5 < time.monotonic() - start < 5
        assert b"submit.sock" in error
        timer = threading.Timer(0.5, os.rename, (
            self.keeper.path + ".away", self.keeper.path))
        timer.start()
        self.ok(["a@b.example"])

    def test_configuration(self):
        self.fails(78, ["-c", "/nonexistent", "a@b.example"])
        if os.getuid() == 0:
            self.fails(77, ["-C/etc/passwd", "a@b.example"], user=65534)
            self.ok(["-C", str(self.conf), "a@b.example"])
        else:
            self.fails(77, ["-C/etc/passwd", "a@b.example"])

    def test_newaliases(self):
        done = subprocess.run([BIN / "newaliases", "-c", self.conf],
                              capture_output=True, timeout=10)
        assert done.returncode == 65 and b":2: " in done.stderr, done
        other = self.folder / "conf2"
        other.write_text(self.conf.read_text().replace(
            '"aliases"', '"aliases2"'))
        (self.folder / "aliases2").write_text("root: admin@ex.example\n")
        done = subprocess.run([SENDMAIL, "-bi", "-c", other],
                              capture_output=True, timeout=10)
        assert done.returncode == 0 and b"1 aliases" in done.stdout, done


def with_a_real_keeper(folder):
    raw = b"From: a@b.example\nDate: x\nMessage-ID: y\n\n" + \
        b"z" * 3000000 + b"\n.\n" + "\u00fc\n".encode() * 1000
    with Instance(folder, "outbound = off\n") as outpost:
        outpost.may_die = True  # the keeper is killed below
        done = outpost.sendmail(raw, "-v", "-i", "joe@b.example")
        number = done.stdout.decode().strip()
        assert done.returncode == 0, done
        assert [d["id"] for d in outpost.queue()] == [number]
        stored = subprocess.run(
            [BIN / "outpost-queue", "show", "--raw", number, "-c",
             outpost.conf], capture_output=True, timeout=20).stdout
        head, _, rest = stored.partition(b"\r\nFrom: ")
        assert b"From: " + rest == raw.replace(b"\n", b"\r\n")
        assert number.encode() in head
        for words in (["-bp"], ["-q"], ["-qRjoe@b"], ["-qSx@y"],
                      ["-qI" + number]):
            done = outpost.sendmail(b"", *words)
            assert done.returncode == 0, done
            assert words != ["-bp"] or number.encode() in done.stdout
        done = outpost.sendmail(
            b"HELO x\nMAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>\n"
            b"DATA\nx\n.\nQUIT\n", "-bs")
        assert done.returncode == 0 and b"queued as" in done.stdout, done
        # a keeper that is being restarted is waited for
        for pid in outpost.pids("outpost-queued"):
            os.kill(pid, signal.SIGKILL)
        done = outpost.sendmail(raw, "joe@b.example")
        assert done.returncode in (0, 75), done
        assert wait_until(lambda: outpost.sendmail(
            b"x", "joe@b.example").returncode == 0, 20)


def main():
    with Folder() as folder:
        test = Test(folder)
        for name in [n for n in dir(test) if n.startswith("test_")]:
            getattr(test, name)()
            print("ok", name)
    with Folder() as folder:
        with_a_real_keeper(folder)
        print("ok with_a_real_keeper")


main()
