"""A scripted SMTP server: what it answers, when, and when it drops the line is
written down by the test; what it was told is kept for the test to look at.

    stage = Stage()                       # one port on many 127.x addresses
    host = stage.host("127.0.3.1", {"MAIL": "451 4.7.1 later"})
    host.connections, host.messages       # what came

Keys of a script: connect, EHLO, HELO, STARTTLS, AUTH (an answer, or a function
of the connection and the command's arguments), MAIL, RCPT, DATA, BDAT, end
(after the last octet), RSET, QUIT; also "offers", the EHLO keywords, "offers-tls",
the same behind TLS, and "implicit": TLS from the first octet. A value is
an answer: a text, or Answer for delays and drops; a list is used up one a
time, its last stays; for RCPT a dict by local part.
"""
import selectors
import socket
import ssl
import struct
import threading
import time

PIPELINING, CHUNKING = "PIPELINING", "CHUNKING"
OFFERS = (PIPELINING, CHUNKING, "8BITMIME", "SIZE 10000000")
LINE_MAX, CONTENT_MAX, CONNECTIONS_MAX, PATIENCE = 65536, 1 << 26, 600, 30

CLOSE, RESET, SILENT, TLS, NO_TLS = "close", "reset", "silent", "tls", "no-tls"


class Answer:
    """text (bytes or str, lines by CRLF; None: nothing), after delay seconds,
    then one of the words above, or None to go on."""

    def __init__(self, text=None, delay=0.0, then=None):
        self.text, self.delay, self.then = text, delay, then


class Gone(Exception):
    """The conversation is over."""


class Connection:
    def __init__(self, host, sock, peer):
        self.host, self.sock, self.peer = host, sock, peer[0]
        self.at = time.monotonic()
        self.input = bytearray()
        self.commands, self.times, self.messages = [], [], []
        self.name = None        # of EHLO or HELO
        self.is_tls = False
        self.is_early = False   # sent ahead without PIPELINING
        self.offers = ()
        self.reset()

    def reset(self):
        self.mail, self.rcpts, self.content = None, [], b""

    # --- bytes ------------------------------------------------------------

    def more(self):
        try:
            data = self.sock.recv(65536)
        except OSError as error:
            raise Gone from error
        if not data or len(self.input) > CONTENT_MAX:
            raise Gone
        self.input += data

    def line(self):
        while b"\n" not in self.input:
            if len(self.input) > LINE_MAX:
                raise Gone
            self.more()
        end = self.input.index(b"\n") + 1
        line = bytes(self.input[:end])
        del self.input[:end]
        return line.rstrip(b"\r\n").decode("utf-8", "replace")

    def octets(self, count):
        while len(self.input) < count:
            self.more()
        data = bytes(self.input[:count])
        del self.input[:count]
        return data

    def end(self, how):
        if how == RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
        if how == SILENT:
            while True:
                self.more()
        raise Gone

    def say(self, answer):
        """Give the answer; the code it begins with."""
        if not isinstance(answer, Answer):
            answer = Answer(answer)
        if answer.delay:
            time.sleep(answer.delay)
        text = answer.text
        if text is not None:
            if isinstance(text, str):
                text = text.replace("\n", "\r\n").encode() + b"\r\n"
            try:
                self.sock.sendall(text)
            except OSError as error:
                raise Gone from error
        if answer.then == TLS:
            self.start_tls()
        elif answer.then == NO_TLS:
            self.break_tls()
        elif answer.then:
            self.end(answer.then)
        return (text or b"000")[:3].decode("ascii", "replace")

    def start_tls(self):
        self.input.clear()
        try:
            self.sock = self.host.tls.wrap_socket(self.sock, server_side=True)
        except OSError as error:
            raise Gone from error
        self.is_tls = True
        self.reset()

    def break_tls(self):
        """Answer the ClientHello with nonsense."""
        self.input.clear()
        self.more()
        try:
            self.sock.sendall(b"this is not TLS at all\r\n" * 4)
        except OSError as error:
            raise Gone from error
        self.end(CLOSE)

    # --- SMTP -------------------------------------------------------------

    def serve(self):
        if self.host.script.get("implicit"):
            self.start_tls()
        self.say(self.host.pick("connect", "220 scripted.example ESMTP"))
        while True:
            line = self.line()
            self.times.append(time.monotonic())
            self.commands.append(line)
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            if verb not in ("BDAT", "DATA") and self.input and \
                    PIPELINING not in self.offers:
                self.is_early = True
            handle = getattr(self, "on_" + verb.lower(), None)
            if handle:
                handle(rest)
            else:
                self.say(self.host.pick(verb, "500 5.5.2 what?"))

    def on_ehlo(self, name):
        self.name = name
        self.reset()
        key = "offers-tls" if self.is_tls and \
            "offers-tls" in self.host.script else "offers"
        self.offers = self.host.pick(key, OFFERS)
        if self.is_tls:
            self.offers = [o for o in self.offers if o != "STARTTLS"]
        words = ["scripted.example", *self.offers]
        text = "\n".join(f"250{'-' if i + 1 < len(words) else ' '}{w}"
                         for i, w in enumerate(words))
        if not self.say(self.host.pick("EHLO", text)).startswith("2"):
            self.offers = ()

    def on_helo(self, name):
        self.name, self.offers = name, ()
        self.reset()
        self.say(self.host.pick("HELO", "250 scripted.example"))

    def on_starttls(self, _):
        self.say(self.host.pick("STARTTLS", Answer("220 go", then=TLS)))

    def on_auth(self, rest):
        answer = self.host.pick("AUTH", "502 5.5.1 no AUTH here")
        if callable(answer):
            answer(self, rest)
        else:
            self.say(answer)

    def on_mail(self, rest):
        code = self.say("503 5.5.1 nested MAIL" if self.mail is not None
                        else self.host.pick("MAIL", "250 2.1.0 ok"))
        if code.startswith("2"):
            self.mail = rest

    def on_rcpt(self, rest):
        answer = "503 5.5.1 MAIL first"
        if self.mail is not None:
            address = rest.partition("<")[2].partition(">")[0]
            answer = self.host.pick("RCPT", "250 2.1.5 ok",
                                    address.rpartition("@")[0])
        if self.say(answer).startswith("2"):
            self.rcpts.append(address)

    def on_data(self, _):
        if not self.rcpts:
            self.say("554 5.5.1 no valid recipients")
            return
        if self.say(self.host.pick("DATA", "354 go")) != "354":
            return
        lines = []
        while (line := self.raw_line()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.content = b"".join(lines)
        self.finish()

    def raw_line(self):
        while b"\r\n" not in self.input:
            self.more()
        return self.octets(self.input.index(b"\r\n") + 2)

    def on_bdat(self, rest):
        size, _, last = rest.partition(" ")
        refusal = self.host.pick("BDAT", None)
        self.content += self.octets(int(size))
        if refusal:
            self.say(refusal)
        elif not self.rcpts:
            self.say("503 5.5.1 no valid recipients")
        elif last.upper() != "LAST":
            self.say("250 2.0.0 more")
        else:
            self.finish()

    def finish(self):
        message = Message(self.mail, self.rcpts, self.content)
        self.reset()
        answer = self.host.pick("end", "250 2.0.0 taken")
        text = answer.text if isinstance(answer, Answer) else answer
        # Kept before the answer: the test may look as soon as it is known.
        # Without one it may have been taken: that is the point of such a test.
        if text is None or str(text).startswith("2"):
            self.messages.append(message)
        self.say(answer)

    def on_rset(self, _):
        self.reset()
        self.say(self.host.pick("RSET", "250 2.0.0 ok"))

    def on_quit(self, _):
        self.say(self.host.pick("QUIT", "221 2.0.0 bye"))
        raise Gone


class Message:
    def __init__(self, mail, rcpts, content):
        self.mail, self.rcpts, self.content = mail, rcpts, content
        self.at = time.monotonic()


class Host:
    """One address. Counts of use are over all its connections."""

    def __init__(self, address, script, tls):
        self.address, self.script, self.tls = address, dict(script or {}), tls
        self.connections = []
        self.used = {}
        self.lock = threading.Lock()

    def pick(self, key, default, local_part=None):
        if key not in self.script:
            return default
        value = self.script[key]
        if isinstance(value, dict):
            key += " " + local_part
            value = value.get(local_part, default)
        if isinstance(value, list):
            with self.lock:
                n = self.used.get(key, 0)
                self.used[key] = n + 1
            value = value[min(n, len(value) - 1)]
        return default if value is None else value

    @property
    def messages(self):
        return [m for c in list(self.connections) for m in list(c.messages)]

    def commands(self):
        return [w for c in list(self.connections) for w in list(c.commands)]


class Stage:
    """Hosts on one port of several addresses, served until stop()."""

    def __init__(self, port=None, certificate=None):
        self.port = port or self.find_port()
        self.selector = selectors.DefaultSelector()
        self.hosts = {}
        self.count = 0
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.is_over = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @staticmethod
    def find_port():
        """Free on every address: nobody has it on the wildcard either."""
        with socket.socket() as s:
            s.bind(("0.0.0.0", 0))
            return s.getsockname()[1]

    def host(self, address, script=None):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, self.port))
        listener.listen(50)
        listener.setblocking(False)
        host = self.hosts[address] = Host(address, script, self.tls)
        self.selector.register(listener, selectors.EVENT_READ, host)
        return host

    def run(self):
        while not self.is_over:
            for key, _ in self.selector.select(0.2):
                try:
                    sock, peer = key.fileobj.accept()
                except OSError:
                    continue
                self.count += 1
                if self.count > CONNECTIONS_MAX:
                    sock.close()
                    continue
                sock.setblocking(True)
                sock.settimeout(PATIENCE)
                connection = Connection(key.data, sock, peer)
                key.data.connections.append(connection)
                threading.Thread(target=self.serve, args=[connection],
                                 daemon=True).start()

    @staticmethod
    def serve(connection):
        try:
            connection.serve()
        except (Gone, OSError, ValueError):
            pass
        finally:
            connection.sock.close()

    def stop(self):
        self.is_over = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
