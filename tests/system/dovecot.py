"""A private Dovecot submission server on loopback: it takes mail from who logs
in and hands it to another server. Root only: it drops to its own users."""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import time

JWT_KEY = b"a key that only the test and its Dovecot know"


def why_not():
    """None when it can run here, else the reason."""
    if os.geteuid() != 0:
        return "needs root (Dovecot changes to its own users)"
    if not shutil.which("dovecot") or not pathlib.Path(
            "/usr/lib/dovecot/submission-login").exists():
        return "needs dovecot-core and dovecot-submissiond"
    try:
        pwd.getpwnam("dovecot"), pwd.getpwnam("dovenull")
    except KeyError:
        return "needs the users dovecot and dovenull"
    return None


def token(user, lifetime=600):
    """A JWT (RFC 7519) that the server takes for that user."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    now = int(time.time())
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = part(json.dumps({"sub": user, "iat": now - 10, "nbf": now - 10,
                            "exp": now + lifetime}).encode())
    text = head + b"." + body
    mac = hmac.new(JWT_KEY, text, hashlib.sha256).digest()
    return (text + b"." + part(mac)).decode()


class Dovecot:
    def __init__(self, folder, port, relay_port, users, pem):
        """users: name to password. pem: key and certificate."""
        self.folder, self.port = pathlib.Path(folder), port
        self.folder.mkdir()
        os.chmod(self.folder, 0o755)
        keys = self.folder / "keys/default/HS256"
        keys.mkdir(parents=True)
        (keys / "default").write_bytes(base64.b64encode(JWT_KEY))
        mail = self.folder / "mail"
        mail.mkdir(mode=0o777)
        os.chmod(mail, 0o777)
        (self.folder / "users").write_text("".join(
            f"{user}:{{PLAIN.HEX}}{password.encode().hex()}\n"
            for user, password in users.items()))
        (self.folder / "oauth2.conf").write_text(
            "introspection_mode = local\n"
            f"local_validation_key_dict = fs:posix:prefix={self.folder}"
            "/keys/\n"
            "username_attribute = sub\n")
        self.conf = self.folder / "dovecot.conf"
        self.conf.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
auth_verbose = yes
protocols = submission
listen = 127.0.0.1
hostname = localhost
ssl = required
ssl_cert = <{pem}
ssl_key = <{pem}
disable_plaintext_auth = yes
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
auth_failure_delay = 0
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
submission_relay_trusted = no
mail_location = maildir:{mail}/%u
service submission-login {{
  inet_listener submission {{
    port = {port}
  }}
  chroot =
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {self.folder}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = {self.folder}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={mail}/%u
}}
""")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["dovecot", "-F", "-c", self.conf], stdout=subprocess.DEVNULL,
            stderr=open(self.folder / "stderr", "wb"),
            start_new_session=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port),
                                              1) as s:
                    s.settimeout(5)
                    if s.recv(100).startswith(b"220"):
                        return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError("dovecot did not start: " + self.log())

    def log(self):
        return "".join(
            (self.folder / name).read_text(errors="replace")[-3000:]
            for name in ("stderr", "log") if (self.folder / name).exists())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
