"""The server's side of AUTH for scripted.py: each mechanism as its RFC has it,
made with Python's own hashes, and what it was told.

    peer = Login({"me@example.net": "secret"})
    stage.host("127.0.3.1", {"offers-tls": ("AUTH SCRAM-SHA-256 PLAIN",),
                             "AUTH": peer})
    peer.attempts                         # (mechanism, user, whether taken)
"""
import base64
import binascii
import hashlib
import hmac
import os
import ssl

NO = "535 5.7.8 authentication failed"
YES = "235 2.7.0 welcome"


def b64(data):
    return base64.b64encode(data).decode()


class Login:
    def __init__(self, users, tokens=(), certificate=None):
        """certificate: DER, for channel binding."""
        self.users = {k: v if isinstance(v, bytes) else v.encode()
                      for k, v in users.items()}
        self.tokens = set(tokens)
        self.certificate = certificate
        self.attempts = []
        self.in_clear = 0
        self.flags = []

    def __call__(self, connection, rest):
        name, _, initial = rest.partition(" ")
        mechanism = name.upper()
        if not connection.is_tls:
            self.in_clear += 1
        handler = {
            "PLAIN": self.plain, "LOGIN": self.login,
            "CRAM-MD5": self.cram, "EXTERNAL": self.external,
            "XOAUTH2": self.xoauth2, "OAUTHBEARER": self.oauthbearer,
        }.get(mechanism)
        if mechanism.startswith("SCRAM-"):
            handler = self.scram
        self.mechanism = mechanism
        try:
            data = None
            if initial:
                data = b"" if initial == "=" else base64.b64decode(
                    initial, validate=True)
            user, is_right = handler(connection, data)
        except (ValueError, binascii.Error, KeyError, IndexError):
            user, is_right = "?", False
        self.attempts.append((mechanism, user, is_right))
        connection.user = user if is_right else None
        connection.say(YES if is_right else NO)

    @staticmethod
    def ask(connection, data):
        connection.say("334 " + b64(data))
        line = connection.line()
        connection.commands.append(line)
        if line == "*":
            raise ValueError
        return base64.b64decode(line, validate=True)

    def is_right(self, user, password):
        return self.users.get(user) == password

    def plain(self, c, data):
        if data is None:
            data = self.ask(c, b"")
        _, user, password = data.split(b"\0", 2)
        return user.decode(), self.is_right(user.decode(), password)

    def login(self, c, _):
        user = self.ask(c, b"Username:").decode()
        return user, self.is_right(user, self.ask(c, b"Password:"))

    def cram(self, c, _):
        challenge = b"<" + os.urandom(8).hex().encode() + b"@scripted>"
        user, _, digest = self.ask(c, challenge).decode().rpartition(" ")
        wanted = hmac.new(self.users.get(user, os.urandom(9)), challenge,
                          "md5").hexdigest()
        return user, digest == wanted

    def external(self, c, data):
        if data is None:
            data = self.ask(c, b"")
        certificate = c.sock.getpeercert(True) if c.is_tls else None
        return data.decode(), certificate is not None

    def xoauth2(self, c, data):
        if data is None:
            data = self.ask(c, b"")
        fields = dict(f.split(b"=", 1) for f in data.split(b"\1") if f)
        token = fields[b"auth"].decode().removeprefix("Bearer ")
        if token in self.tokens:
            return fields[b"user"].decode(), True
        assert self.ask(c, b'{"status":"401","schemes":"bearer"}') == b""
        return fields[b"user"].decode(), False

    def oauthbearer(self, c, data):
        if data is None:
            data = self.ask(c, b"")
        header, *rest = data.split(b"\1")
        fields = dict(f.split(b"=", 1) for f in rest if f)
        user = header.split(b",")[1].removeprefix(b"a=").decode()
        token = fields[b"auth"].decode().removeprefix("Bearer ")
        if token in self.tokens:
            return user, True
        assert self.ask(c, b'{"status":"invalid_token"}') == b"\1"
        return user, False

    def binding(self, c, flag):
        """What -PLUS is bound to here: Python knows no exporter."""
        assert flag == "p=tls-server-end-point", flag
        return hashlib.sha256(self.certificate).digest()

    def scram(self, c, data):
        name = "sha256" if "256" in self.mechanism else "sha1"
        first = data.decode()
        flag, _, bare = first.split(",", 2)
        self.flags.append(flag)
        bound = f"{flag},,".encode()
        if self.mechanism.endswith("-PLUS"):
            bound += self.binding(c, flag)
        else:
            assert flag in ("n", "y")
        user, nonce = (f[2:] for f in bare.split(","))
        user = user.replace("=2C", ",").replace("=3D", "=")
        nonce += os.urandom(9).hex()
        salt = os.urandom(12)
        server_first = f"r={nonce},s={b64(salt)},i=4096"
        final = self.ask(c, server_first.encode()).decode()
        without, _, proof = final.rpartition(",p=")
        assert without == f"c={b64(bound)},r={nonce}", without

        def mac(key, text):
            return hmac.new(key, text, name).digest()
        salted = hashlib.pbkdf2_hmac(
            name, self.users.get(user, os.urandom(9)), salt, 4096)
        client = mac(salted, b"Client Key")
        stored = hashlib.new(name, client).digest()
        message = f"{bare},{server_first},{without}".encode()
        wanted = bytes(a ^ b for a, b in zip(client, mac(stored, message)))
        if base64.b64decode(proof) != wanted:
            return user, False
        signature = mac(mac(salted, b"Server Key"), message)
        assert self.ask(c, b"v=" + b64(signature).encode()) == b""
        return user, True


def server_context(certificate, client_ca=None, highest=None):
    """A TLS server that may ask for a client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client_ca)
    if highest:
        context.maximum_version = highest
    return context
