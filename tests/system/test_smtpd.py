"""outpost-smtpd as a process: connections, TLS, limits, a keeper that goes."""
import os
import pathlib
import re
import select
import shutil
import signal
import smtplib
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

from outpost import BIN, wait_until
from stage import Stage, Keeper

PROGRAM = "outpost-smtpd"
CONF = """
localname = "mx.example.com"
listen "127.0.0.1:2525" {{ allow = {{ "127.0.0.1", "127.0.0.64/26" }} {listen} }}
limits {{ message-size = 1M  recipients = 100 {limits} }}
"""


def conf(limits="", listen=""):
    return CONF.format(limits=limits, listen=listen)


class Client:
    """A client that says exactly what it is told to."""

    def __init__(self, port, source=None):
        if isinstance(port, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(port)
        else:
            self.socket = socket.create_connection(
                ("127.0.0.1", port), 10, (source, 0) if source else None)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """Code and text of one reply; None at the end."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return None
            lines.append(line[4:].strip().decode())
            if line[3:4] != b"-":
                return int(line[:3]), " / ".join(lines)

    def code(self, data=b""):
        self.send(data)
        reply = self.reply()
        return reply and reply[0]

    def begin(self):
        """Up to RCPT."""
        assert self.reply()[0] == 220
        assert self.code(b"EHLO test.example\r\n") == 250
        assert self.code(b"MAIL FROM:<a@x.example>\r\n") == 250
        assert self.code(b"RCPT TO:<b@y.example>\r\n") == 250

    def is_ended(self):
        try:
            return self.file.read() == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()


class Smtpd(unittest.TestCase):
    def stage(self, *args, **named):
        stage = Stage(PROGRAM, *(args or (conf(),)), **named)
        self.addCleanup(stage.stop)
        return stage

    def client(self, stage, **named):
        client = Client(stage.ports[0], **named)
        self.addCleanup(client.close)
        return client

    def test_message(self):
        stage = self.stage()
        with smtplib.SMTP("127.0.0.1", stage.ports[0]) as smtp:
            smtp.sendmail("a@x.example", ["b@y.example", "postmaster"],
                          b"Subject: x\r\n\r\n.dot\r\n",
                          ["RET=HDRS", "ENVID=q+2B"], ["NOTIFY=DELAY"])
        (envelope, text), = stage.keeper.messages
        self.assertEqual(text, b"Subject: x\r\n\r\n.dot\r\n")
        self.assertEqual(envelope.sender, b"a@x.example")
        self.assertEqual((envelope.ret, envelope.envid), (2, b"q+"))
        self.assertEqual(envelope.recipients, [
            (b"b@y.example", 8, b""), (b"postmaster@mx.example.com", 8, b"")])
        self.assertRegex(
            (envelope.head + b"ID" + envelope.tail).decode(),
            r"^Received: from \S+ \(\[127\.0\.0\.1\]\)\r\n"
            r"\tby mx\.example\.com with ESMTP id ID;\r\n"
            r"\t\w{3}, \d+ \w{3} \d{4} [\d:]{8} [-+]\d{4}$")

    def test_confined(self):
        stage = self.stage()
        status = pathlib.Path(
            f"/proc/{stage.process.pid}/status").read_text()
        self.assertRegex(status, r"\nSeccomp:\s+2\n")
        self.assertRegex(status, r"\nNoNewPrivs:\s+1\n")
        if os.geteuid() == 0:
            self.assertNotRegex(status, r"\nUid:\s+0\b")

    def test_stranger(self):
        stage = self.stage()
        for source, code in (("127.0.0.2", 550), ("127.0.0.65", 250),
                             ("127.0.0.128", 550)):
            client = self.client(stage, source=source)
            self.assertEqual(client.reply()[0], 220)
            client.code(b"EHLO a\r\n")
            client.code(b"MAIL FROM:<a@x.example>\r\n")
            self.assertEqual(client.code(b"RCPT TO:<b@y.example>\r\n"), code)

    def test_no_allow_is_no_relay(self):
        stage = self.stage('localname = "mx.example.com"\n'
                           'listen "127.0.0.1:2525" { allow = { } }\n')
        client = self.client(stage)
        client.reply()
        client.code(b"EHLO a\r\n")
        client.code(b"MAIL FROM:<a@x.example>\r\n")
        self.assertEqual(client.code(b"RCPT TO:<b@y.example>\r\n"), 550)

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "smtp")
            stage = self.stage(
                'localname = "mx.example.com"\n'
                f'listen "unix:{path}" {{ allow = {{ }} }}\n',
                listeners=((path,),))
            client = self.client(stage)
            client.begin()
            self.assertEqual(client.code(b"BDAT 3 LAST\r\nx\r\n"), 250)
            (envelope, _), = stage.keeper.messages
            self.assertIn(b"from test.example (uid %d)\r\n" % os.getuid(),
                          envelope.head)

    def test_large_message_in_small_pieces(self):
        stage = self.stage()
        client = self.client(stage)
        client.begin()
        self.assertEqual(client.code(b"DATA\r\n"), 354)
        text = b"".join(b".%d\r\n" % i for i in range(20000))
        wire = text.replace(b"\r\n.", b"\r\n..")
        wire = b"." + wire + b".\r\n"
        for i in range(0, len(wire), 4095):
            client.send(wire[i:i + 4095])
        self.assertEqual(client.reply()[0], 250)
        self.assertEqual(stage.keeper.messages[0][1], text)

    def test_smuggling_then_in_step(self):
        stage = self.stage()
        client = self.client(stage)
        client.begin()
        self.assertEqual(client.code(b"DATA\r\n"), 354)
        client.send(b"a\r\n.\nMAIL FROM:<evil@x.example>\r\n")
        client.send(b"RCPT TO:<c@y.example>\r\nDATA\r\nx\r\n")
        self.assertEqual(client.code(b".\r\n"), 550)
        self.assertEqual(client.code(b"NOOP\r\n"), 250)
        self.assertEqual(stage.keeper.messages, [])

    def test_too_big(self):
        stage = self.stage()
        client = self.client(stage)
        client.begin()
        client.code(b"RSET\r\n")
        self.assertEqual(client.code(
            b"MAIL FROM:<a@x.example> SIZE=1048577\r\n"), 552)
        client.code(b"MAIL FROM:<a@x.example> SIZE=1\r\n")
        client.code(b"RCPT TO:<b@y.example>\r\n")
        client.code(b"DATA\r\n")
        client.send(b"a" * 70 + b"\r\n")
        for _ in range(30):
            client.send((b"a" * 70 + b"\r\n") * 1000)
        self.assertEqual(client.code(b".\r\n"), 552)
        self.assertEqual(stage.keeper.messages, [])
        # The keeper reads its abort when it comes to it.
        self.assertTrue(wait_until(lambda: stage.keeper.open == {}))
        self.assertLess(stage.memory(), 8 << 20)

    def test_more_replies_than_are_held_back(self):
        """The rest of the commands is used when the replies are written."""
        stage = self.stage()
        client = self.client(stage)
        client.reply()
        client.send(b"EHLO a\r\nMAIL FROM:<a@x.example>\r\n" +
                    b"RCPT TO:<b@y.example>\r\n" * 990 + b"DATA\r\n")
        codes = [client.reply()[0] for _ in range(993)]
        self.assertEqual(codes, [250] * 102 + [452] * 890 + [354])

    def test_pipelined_messages_wait_for_the_keeper(self):
        stage = self.stage()
        stage.keeper.is_answering = False
        client = self.client(stage)
        client.reply()
        client.code(b"EHLO a\r\n")
        one = (b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
               b"BDAT 3 LAST\r\na\r\n")
        client.send(one * 10 + b"QUIT\r\n")
        self.assertTrue(wait_until(lambda: len(stage.keeper.waiting) == 10))
        for number in reversed(stage.keeper.waiting):
            stage.keeper.answer(number)
        codes = [client.reply()[0] for _ in range(31)]
        self.assertEqual(codes, [250] * 30 + [221])

    # --- the keeper ----------------------------------------------------------

    def test_keeper_goes_and_comes(self):
        stage = self.stage()
        stage.keeper.is_answering = False
        ended, open_, idle = (self.client(stage) for _ in range(3))
        ended.begin()
        ended.code(b"DATA\r\n")
        ended.send(b"x\r\n.\r\n")
        open_.begin()
        open_.code(b"DATA\r\n")
        open_.send(b"x\r\n")
        idle.reply()
        idle.code(b"EHLO a\r\n")
        self.assertTrue(wait_until(lambda: stage.keeper.waiting and
                                   stage.keeper.open))
        stage.keeper.close()
        self.assertEqual(ended.reply()[0], 451)
        open_.send(b"y\r\n.\r\n")
        self.assertEqual(open_.reply()[0], 451)
        self.assertEqual(idle.code(b"MAIL FROM:<a@x.example>\r\n"), 451)
        stage.keeper = stage.attach()
        self.assertTrue(wait_until(
            lambda: idle.code(b"MAIL FROM:<a@x.example>\r\n") == 250))
        idle.code(b"RCPT TO:<b@y.example>\r\n")
        self.assertEqual(idle.code(b"BDAT 3 LAST\r\nx\r\n"), 250)

    def test_keeper_refuses(self):
        stage = self.stage()
        for verdict, status, code in ((1, b"4.3.1", 452), (1, b"4.3.0", 451),
                                      (2, b"5.7.1", 550), (2, b"5.5.0", 554)):
            stage.keeper.refuse = (verdict, status, b"because")
            client = self.client(stage)
            client.begin()
            client.code(b"DATA\r\n")
            client.send(b".\r\n")
            self.assertEqual(client.reply(),
                             (code, f"{status.decode()} because"))

    def test_keeper_sends_garbage(self):
        stage = self.stage()
        stage.keeper.sock.sendall(b"\xff" * 100)
        self.assertTrue(wait_until(lambda: "keeper-gone" in stage.read_log()))
        self.assertIsNone(stage.process.poll())
        stage.keeper = stage.attach()
        client = self.client(stage)
        client.begin()
        # answers to numbers that nobody gave
        stage.keeper.answer(12345)
        stage.keeper.answer(0)
        self.assertEqual(client.code(b"BDAT 3 LAST\r\nx\r\n"), 250)

    def test_slow_keeper_holds_clients_back(self):
        stage = self.stage(keeper=False)
        stage.keeper = stage.attach(is_reading=False)
        clients = [self.client(stage) for _ in range(40)]
        for client in clients:
            client.begin()
            client.code(b"DATA\r\n")
            client.socket.setblocking(False)
        text = b"x" * 70 + b"\r\n"
        for client in clients:
            try:
                while client.socket.send(text * 900) > 0:
                    pass
            except BlockingIOError:
                pass
        self.assertLess(stage.memory(), 24 << 20)
        stage.keeper.may_read.set()
        for client in clients:
            client.socket.settimeout(10)
            client.close()
        self.assertTrue(wait_until(lambda: stage.keeper.aborted +
                                   len(stage.keeper.open) == 40))
        last = self.client(stage)
        last.begin()
        self.assertEqual(last.code(b"BDAT 3 LAST\r\nx\r\n"), 250)

    # --- limits --------------------------------------------------------------

    def test_connections(self):
        stage = self.stage(conf("connections = 5  connections-per-client = 3"))
        ours = [self.client(stage) for _ in range(3)]
        self.assertEqual([c.reply()[0] for c in ours], [220] * 3)
        self.assertEqual(self.client(stage).reply()[0], 421)
        others = [self.client(stage, source=f"127.0.0.{i}") for i in (3, 4)]
        self.assertEqual([c.reply()[0] for c in others], [220] * 2)
        self.assertEqual(
            self.client(stage, source="127.0.0.5").reply()[0], 421)
        ours[0].close()
        self.assertTrue(wait_until(
            lambda: self.client(stage).reply()[0] == 220))
        self.assertIn("client-refused", stage.read_log())

    def test_memory_of_idle_connections(self):
        stage = self.stage(conf("connections-per-client = 1000"))
        warm = self.client(stage)
        warm.begin()
        warm.code(b"BDAT 3 LAST\r\nx\r\n")
        before = stage.memory()
        clients = [self.client(stage) for _ in range(400)]
        for client in clients:
            client.begin()
            self.assertEqual(client.code(
                b"BDAT 4096 LAST\r\n" + (b"x" * 62 + b"\r\n") * 64), 250)
        self.assertLess((stage.memory() - before) / 400, 8192)

    def test_junk(self):
        stage = self.stage()
        for junk in (b"\r\n", b"\0" * 1000, b"A" * 1000, b"GET / HTTP/1.0\r\n",
                     b"NOOP\n", b"RCPT TO:<a@b>\r\n"):
            client = self.client(stage)
            client.reply()
            try:
                for _ in range(100):
                    client.send(junk * 100)
            except OSError:
                pass
            try:
                while client.reply():
                    pass
            except ConnectionResetError:
                pass
        self.assertLess(stage.memory(), 8 << 20)
        self.assertIsNone(stage.process.poll())
        self.assertIn("client-cut", stage.read_log())

    def test_client_that_does_not_read(self):
        stage = self.stage()
        client = self.client(stage)
        client.socket.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            try:
                sent += client.socket.send(b"EHLO a\r\n" * 1000)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                time.sleep(0.01)
        self.assertLess(stage.memory(), 8 << 20)

    def test_out_of_descriptors(self):
        stage = self.stage(conf("connections-per-client = 1000"), nofile=100)
        clients = []
        for _ in range(120):
            clients.append(self.client(stage))
        codes = [c.reply() for c in clients[:20]]
        self.assertTrue(all(c[0] == 220 for c in codes))
        for client in clients:
            client.close()
        self.assertTrue(wait_until(
            lambda: self.client(stage).reply()[0] == 220))

    # --- stopping ------------------------------------------------------------

    def test_stop(self):
        stage = self.stage()
        stage.keeper.is_answering = False
        idle, busy = self.client(stage), self.client(stage)
        idle.reply()
        busy.begin()
        busy.code(b"DATA\r\n")
        busy.send(b"x\r\n.\r\n")
        self.assertTrue(wait_until(lambda: stage.keeper.waiting))
        stage.send(5, 0, struct.pack(">I", 5000))
        self.assertEqual(idle.reply()[0], 421)
        stage.keeper.answer(stage.keeper.waiting[0])
        self.assertEqual(busy.reply()[0], 250)
        self.assertEqual(busy.reply()[0], 421)
        self.assertEqual(stage.process.wait(5), 0)

    def test_stop_at_the_end_of_grace(self):
        stage = self.stage()
        client = self.client(stage)
        client.begin()
        client.code(b"DATA\r\n")
        self.assertEqual(stage.stop(200), 0)


class Time(unittest.TestCase):
    """The limits of time, on a clock that runs 1000 times as fast."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("cc"):
            raise unittest.SkipTest("needs a C compiler")
        cls.folder = tempfile.TemporaryDirectory()
        cls.clock = os.path.join(cls.folder.name, "clock.so")
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", cls.clock,
             pathlib.Path(__file__).with_name("clock.c")], check=True)
        os.chmod(cls.folder.name, 0o755)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.stage = Stage(PROGRAM, conf(), env={
            "LD_PRELOAD": self.clock, "CLOCK_FACTOR": "1000"})
        self.addCleanup(self.stage.stop)
        self.client = Client(self.stage.ports[0])
        self.addCleanup(self.client.close)

    def feed(self, data, every, most):
        """Send until a reply comes; after how many seconds, and its code."""
        began = time.monotonic()
        while time.monotonic() - began < most:
            try:
                self.client.send(data)
            except OSError:
                break
            if select.select([self.client.socket], [], [], every)[0]:
                break
        seconds = time.monotonic() - began
        return seconds, self.client.reply()

    def test_idle(self):
        self.client.reply()
        began = time.monotonic()
        self.assertEqual(self.client.reply(),
                         (421, "4.4.2 mx.example.com timeout"))
        self.assertAlmostEqual(time.monotonic() - began, 0.3, delta=0.25)
        self.assertIn("timeout", self.stage.read_log())

    def test_command_byte_by_byte(self):
        self.client.reply()
        seconds, reply = self.feed(b"N", 0.05, 5)
        self.assertEqual(reply[0], 421)
        self.assertLess(seconds, 2)

    def test_text_byte_by_byte(self):
        self.client.begin()
        self.client.code(b"DATA\r\n")
        seconds, reply = self.feed(b"x", 0.05, 5)
        self.assertEqual(reply[0], 421)
        self.assertAlmostEqual(seconds, 0.6, delta=0.5)
        self.assertTrue(wait_until(lambda: self.stage.keeper.aborted == 1))

    def test_text_fast_enough(self):
        self.client.begin()
        self.client.code(b"DATA\r\n")
        began = time.monotonic()
        while time.monotonic() - began < 1.5:  # 25 minutes
            self.client.send(b"x" * 100000 + b"\r\n")
            time.sleep(0.05)
        self.assertIn(self.client.code(b".\r\n"), (250, 552))

    def test_nothing_but_commands(self):
        self.client.reply()
        began = time.monotonic()
        code = 250
        while code == 250 and time.monotonic() - began < 8:
            time.sleep(0.1)
            code = self.client.code(b"NOOP\r\n")
        self.assertEqual(code, 421)
        self.assertAlmostEqual(time.monotonic() - began, 3.6, delta=1.5)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.key = os.path.join(cls.folder.name, "key.pem")
        cls.cert = os.path.join(cls.folder.name, "cert.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=mx.example.com", "-keyout", cls.key,
             "-out", cls.cert], check=True, stderr=subprocess.DEVNULL)
        cls.context = ssl.create_default_context(cafile=cls.cert)
        cls.context.check_hostname = False

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def stage(self, kind, **named):
        files = f'tls = "{kind}" certificate = "{self.cert}" key = "{self.key}"'
        stage = Stage(PROGRAM, conf(listen=files, limits=named.pop(
            "limits", "")), listeners=((self.cert, self.key),), **named)
        self.addCleanup(stage.stop)
        return stage

    def test_starttls(self):
        stage = self.stage("starttls")
        with smtplib.SMTP("127.0.0.1", stage.ports[0]) as smtp:
            smtp.ehlo()
            self.assertTrue(smtp.has_extn("starttls"))
            smtp.starttls(context=self.context)
            self.assertEqual(smtp.docmd("MAIL FROM:<a@x.example>")[0], 503)
            smtp.ehlo()
            self.assertFalse(smtp.has_extn("starttls"))
            self.assertEqual(smtp.docmd("STARTTLS")[0], 503)
            text = b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n"
            text *= 3000
            smtp.sendmail("a@x.example", ["b@y.example"], text)
        self.assertEqual(stage.keeper.messages[0][1], text)
        self.assertIn(b" with ESMTPS id ", stage.keeper.messages[0][0].head)

    def test_implicit(self):
        stage = self.stage("implicit")
        with smtplib.SMTP_SSL("127.0.0.1", stage.ports[0],
                              context=self.context) as smtp:
            self.assertIn(smtp.sock.version(), ("TLSv1.2", "TLSv1.3"))
            smtp.sendmail("a@x.example", ["b@y.example"], b"x\r\n")
        self.assertEqual(stage.keeper.messages[0][1], b"x\r\n")

    def test_versions(self):
        stage = self.stage("implicit")
        for version, works in ((ssl.TLSVersion.TLSv1_1, False),
                               (ssl.TLSVersion.TLSv1_2, True),
                               (ssl.TLSVersion.TLSv1_3, True)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            try:
                with smtplib.SMTP_SSL("127.0.0.1", stage.ports[0],
                                      context=context) as smtp:
                    smtp.noop()
                self.assertTrue(works, version)
            except (ssl.SSLError, ConnectionError):
                self.assertFalse(works, version)

    def test_injection_behind_starttls(self):
        stage = self.stage("starttls")
        client = Client(stage.ports[0])
        self.addCleanup(client.close)
        client.reply()
        client.code(b"EHLO a\r\n")
        client.send(b"STARTTLS\r\nEHLO b\r\nMAIL FROM:<a@x.example>\r\n")
        self.assertEqual(client.reply()[0], 220)
        self.assertTrue(client.is_ended())
        self.assertIn("STARTTLS", stage.read_log())

    def test_clear_text_in_place_of_a_handshake(self):
        stage = self.stage("implicit")
        client = Client(stage.ports[0])
        self.addCleanup(client.close)
        client.send(b"EHLO a\r\n" * 100)
        try:
            self.assertNotIn(b"250", client.file.read())
        except ConnectionResetError:
            pass
        self.assertTrue(wait_until(
            lambda: "TLS handshake" in stage.read_log()))

    def test_pipelined_under_tls(self):
        stage = self.stage("implicit")
        raw = socket.create_connection(("127.0.0.1", stage.ports[0]), 10)
        with self.context.wrap_socket(raw) as tls:
            one = (b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
                   b"BDAT 30000 LAST\r\n" + b"x" * 29998 + b"\r\n")
            tls.sendall(b"EHLO a\r\n" + one * 20 + b"QUIT\r\n")
            got = b""
            while True:
                data = tls.recv(65536)
                if not data:
                    break
                got += data
        self.assertEqual(len(re.findall(rb"queued as", got)), 20)
        self.assertIn(b"\r\n221 ", got)

    def test_records_that_fill_the_buffer(self):
        """What TLS holds back when our buffer is full is read as well."""
        stage = self.stage("implicit")
        text = (b"x" * 70 + b"\r\n") * 1850 + b".\r\n"
        for size in (5000, 10000, 16383, 16384):
            raw = socket.create_connection(("127.0.0.1", stage.ports[0]), 5)
            with self.context.wrap_socket(raw) as tls:
                tls.sendall(b"EHLO a\r\nMAIL FROM:<a@x.example>\r\n"
                            b"RCPT TO:<b@y.example>\r\nDATA\r\n")
                got = b""
                while b"\r\n354 " not in got:
                    got += tls.recv(65536)
                # All of it is there when the listener begins to read.
                os.kill(stage.process.pid, signal.SIGSTOP)
                for at in range(0, len(text), size):
                    tls.send(text[at:at + size])
                os.kill(stage.process.pid, signal.SIGCONT)
                self.assertIn(b"queued as", tls.recv(65536), size)

    def test_bad_key_stops_the_start(self):
        files = (f'tls = "starttls" certificate = "{self.cert}" '
                 f'key = "{self.cert}"')
        with self.assertRaises(AssertionError):
            Stage(PROGRAM, conf(listen=files),
                  listeners=((self.cert, self.cert),))


class Bs(unittest.TestCase):
    """sendmail -bs, over a submission socket of ours."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.conf = self.folder / "outpost.conf"
        self.conf.write_text('localname = "mx.example.com"\n'
                             f'runtime = "{self.folder}"\n')

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(str(self.folder / "submit.sock"))
        self.listener.listen(10)

    def run_bs(self, text):
        process = subprocess.Popen(
            [BIN / "outpost-inject", "-bs"],
            env=dict(os.environ, OUTPOST_CONF=str(self.conf)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(text)
        process.stdin.flush()
        keepers = []
        if hasattr(self, "listener"):
            self.listener.settimeout(5)
            for _ in range(text.lower().count(b"mail from")):
                keepers.append(Keeper(self.listener.accept()[0]))
        out, _ = process.communicate(timeout=20)
        return process.returncode, out, [m for k in keepers
                                         for m in k.messages]

    def test_message(self):
        self.listen()
        status, out, messages = self.run_bs(
            b"EHLO a\r\nMAIL FROM:<root>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"
            b"Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n")
        self.assertEqual(status, 0)
        self.assertIn(b"queued as", out)
        self.assertTrue(out.endswith(b"221 2.0.0 mx.example.com closing\r\n"))
        (envelope, text), = messages
        self.assertEqual(text, b"Subject: x\r\n\r\n.\r\n")
        self.assertEqual(envelope.sender, b"root@mx.example.com")
        self.assertEqual(envelope.uid, os.getuid())
        self.assertIn(b"(uid %d)" % os.getuid(), envelope.head)

    def test_many_commands_at_once(self):
        """More replies than are held back at a time."""
        self.listen()
        status, out, messages = self.run_bs(
            b"EHLO a\r\nMAIL FROM:<root>\r\n" +
            b"RCPT TO:<b@y.example>\r\n" * 990 +
            b"DATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n")
        self.assertEqual(status, 0)
        self.assertEqual(out.count(b"\r\n250 2.1.5"), 990)
        self.assertTrue(out.endswith(b"221 2.0.0 mx.example.com closing\r\n"))
        self.assertEqual(len(messages[0][0].recipients), 990)

    def test_typed_by_a_person(self):
        self.listen()
        status, out, messages = self.run_bs(
            b"helo a\nmail from:a@x.example\nrcpt to:b@y.example\ndata\n"
            b"hello\n.\nquit\n")
        self.assertEqual(status, 0)
        self.assertEqual(messages[0][1], b"hello\r\n")

    def test_no_keeper(self):
        status, out, _ = self.run_bs(
            b"EHLO a\r\nMAIL FROM:<a@x.example>\r\nQUIT\r\n")
        self.assertEqual(status, 0)
        self.assertIn(b"\r\n451 4.3.0", out)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
