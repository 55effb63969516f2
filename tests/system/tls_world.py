"""Real servers in every state that TLS knows, and what is published about them:
Postfix, Exim and OpenSMTPD from Debian packages, each with an address for each
state of its certificate; a zone signed by ldns, served by nsd and validated by
unbound; MTA-STS policies from a web server. Root only.

    with World(folder, states, domains) as world: ...
"""
import hashlib
import http.server
import os
import re
import ssl
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import exim
import opensmtpd
import postfix
from certificates import Authority
from dns import Nsd, Signer, Unbound
from outpost import BUILD, free_port, wait_until

ZONE = "real.example"
PLAIN = "plain.example"  # without DNSSEC
NET = {"postfix": 81, "exim": 82, "opensmtpd": 83}
STATES = ("good", "self-signed", "expired", "wrong-name", "broken",
          "no-starttls", "next-hop")
# Debian 12's OpenSMTPD 6.8 offers STARTTLS and cannot do it: it is too old for
# OpenSSL 3 (OpenSMTPD issue 1171), and every handshake ends with an alert. Real
# servers do that, so it stands for them.
SERVES = {"postfix": tuple(s for s in STATES
                           if s not in ("broken", "next-hop")),
          "opensmtpd": ("broken", "no-starttls")}
SERVES["exim"] = SERVES["postfix"]
# What the zone says of a server's key or CA. Of the values of TLSA records "key"
# is the server's own, "cert" its certificate, "ca" and "ca-key" the CA's,
# "no" nobody's.
TLSA = {
    "": [], "ee": ["3 1 1 key"], "ta": ["2 0 1 ca"], "wrong": ["3 1 1 no"],
    "forged": ["3 1 1 key"], "pkix": ["1 1 1 key"],
    # for the comparison with posttls-finger
    "ee-cert": ["3 0 1 cert"], "ee-512": ["3 1 2 key"],
    "ee-whole": ["3 1 0 key"], "ta-key": ["2 1 1 ca-key"],
    "wrong-ta": ["2 0 1 no"], "rollover": ["3 1 1 no", "3 1 1 key"],
    "mixed": ["0 0 1 no", "3 1 1 key"], "mixed-no": ["1 1 1 key", "3 1 1 no"],
    "unknown": ["3 1 9 key"], "ta-or-ee": ["2 0 1 ca", "3 1 1 no"],
}


class Published:
    """A domain: where its mail goes, what it says of TLS. sts: (mode, whether
    the policy lists its host). is_alias: its MX is another name of the host,
    which has the TLSA records."""

    def __init__(self, name, server, state, tlsa="", sts=None, zone=ZONE,
                 is_alias=False):
        self.name, self.zone = f"{name}.{zone}", zone
        self.server, self.state, self.tlsa, self.sts = server, state, tlsa, sts
        self.host = f"{state}-{tlsa or 'none'}-{server}.{zone}"
        self.mx = f"alias-{self.host}" if is_alias else self.host

    def records(self):
        lines = [f"{self.name}. IN MX 10 {self.mx}."]
        if self.mx != self.host:
            lines.append(f"{self.mx}. IN CNAME {self.host}.")
        if self.sts:
            lines += [f"mta-sts.{self.name}. IN A 127.0.0.1",
                      f'_mta-sts.{self.name}. IN TXT "v=STSv1; id=1"']
        return lines

    def policy(self):
        mode, is_listed = self.sts
        mx = self.mx if is_listed else "x.example"
        return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 9999\n"


def der(pem, *words):
    out = subprocess.run(["openssl", *words, "-in", pem], check=True,
                         stdout=subprocess.PIPE).stdout
    if "-pubkey" in words:
        out = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"],
                             input=out, check=True,
                             stdout=subprocess.PIPE).stdout
    return out


def tlsa_of(record, pem, ca):
    *kind, what = record.split()
    if what == "no" or pem is None:
        data = b"nobody's"
    elif what in ("key", "ca-key"):
        data = der(pem if what == "key" else ca.file, "x509", "-pubkey",
                   "-noout")
    else:
        data = der(pem if what == "cert" else ca.file, "x509", "-outform",
                   "DER")
    data = {"1": hashlib.sha256(data).digest(),
            "2": hashlib.sha512(data).digest()}.get(kind[2],
                                                    data if kind[2] == "0"
                                                    else b"x" * 32)
    return f"{' '.join(kind)} {data.hex()}"


# --- what became of mail -----------------------------------------------------

TLS, CLEAR = "delivered in TLS", "delivered in clear"
LOGGED = re.compile(r' (delivered|deferred|failed) id=\S+ to=(\S+) .*'
                    r'status=(\S+) reply="(.*?)"')


def attempts(outpost):
    """{recipient: (what became of its first attempt, status, reply)}"""
    found = {}
    for line in outpost.log().splitlines():
        logged = LOGGED.search(line)
        if logged:
            result, to, status, reply = logged.groups()
            found.setdefault(to, (result, status, reply))
    return found


def settled(outpost, everybody):
    """The same, when each of them has had one."""
    found = wait_until(lambda: all(a in attempts(outpost)
                                   for a in everybody), 40, 0.2)
    assert found, "never tried: " + " ".join(
        set(everybody) - set(attempts(outpost))) + outpost.text()
    return attempts(outpost)


# --- the servers -------------------------------------------------------------

class Web(http.server.ThreadingHTTPServer):
    def __init__(self, domains, pem):
        self.policies = {"mta-sts." + d.name: d.policy() for d in domains
                         if d.sts}
        super().__init__(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, args=[0.05],
                         daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Answer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        host = self.headers["Host"].split(":")[0]
        self.wfile.write(self.server.policies[host].encode())


class World:
    """domains: of Published. nameserver: an address whose port 53 is to answer
    too. files: {name: text} in the /etc of Postfix's namespace."""

    def __init__(self, folder, domains, nameserver=None, files=None):
        self.folder, self.domains, self.files = folder, domains, files
        self.nameserver = nameserver
        self.ca, self.port = Authority(folder), free_port()
        self.pems = {(server, state): self.certificate(server, state)
                     for server, state in {(d.server, d.state)
                                           for d in domains}}
        self.running = []
        self.servers = {}

    @staticmethod
    def address(server, state):
        return f"127.0.{NET[server]}.{STATES.index(state) + 1}"

    def certificate(self, server, state):
        """Key, certificate and CA; None for a server without TLS."""
        if state == "no-starttls":
            return None
        names = [f"{state}-{kind or 'none'}-{server}.{ZONE}" for kind in TLSA]
        if state == "wrong-name":
            names = ["x.example"]
        if state == "next-hop":  # RFC 7672 3.2.2: that name will do too
            names = [d.name for d in self.domains if d.state == state]
        pem = self.ca.issue(*names, days=-1 if state == "expired" else 5,
                            self_signed=state == "self-signed")
        if state != "self-signed":
            pem.write_text(pem.read_text() + self.ca.file.read_text())
        return pem

    def records(self, zone):
        lines, hosts = [], set()
        for d in (d for d in self.domains if d.zone == zone):
            lines += d.records()
            if d.host in hosts:
                continue
            hosts.add(d.host)
            lines.append(f"{d.host}. IN A {self.address(d.server, d.state)}")
            for record in TLSA[d.tlsa]:
                text = tlsa_of(record, self.pems[d.server, d.state], self.ca)
                own = d.host.removesuffix("." + zone)
                lines.append(f"_{self.port}._tcp.{own} IN TLSA {text}" + (
                    "; FORGED" if d.tlsa == "forged" else ""))
        return "\n".join(lines) + "\n"

    def start_dns(self):
        signer = Signer(tempfile.mkdtemp(dir=self.folder))
        zones = {zone: self.records(zone) for zone in (ZONE, PLAIN)}
        nsd = Nsd(self.folder, zones, signer, [ZONE])
        self.running.append(nsd)
        extra = f"  interface: {self.nameserver}@53\n" if self.nameserver \
            else ""
        unbound = Unbound(self.folder, zones, nsd.port, extra,
                          anchors=signer.anchors)
        self.running.append(unbound)
        self.resolver = unbound.port

    def start_web(self):
        names = ["mta-sts." + d.name for d in self.domains if d.sts]
        self.web = Web(self.domains, self.ca.issue(*names or ["x.example"]))
        self.running.append(self.web)

    def postfix_service(self, pem):
        if pem is None:
            return "-o smtpd_tls_security_level=none"
        pem.chmod(0o600)
        return f"-o smtpd_tls_chain_files={pem}"

    def start_postfix(self, addresses):
        uid = postfix.POSTFIX_UID
        mail = self.folder / "postfix-mail"
        mail.mkdir()
        os.chown(mail, uid, uid)
        server = postfix.Postfix(
            self.folder / "postfix", BUILD / "postfix", self.port,
            {"smtpd_tls_security_level": "may",
             "smtpd_tls_received_header": "yes",
             "smtpd_client_connection_count_limit": "0",
             "virtual_mailbox_domains": "static:all",
             "virtual_mailbox_base": mail,
             "virtual_mailbox_maps": "static:all/",
             "virtual_uid_maps": f"static:{uid}",
             "virtual_gid_maps": f"static:{uid}"},
            {a: self.postfix_service(pem) for a, pem in addresses.items()},
            self.files)
        self.running.append(server)
        server.start()
        return server

    def messages(self, name):
        """What a server took so far, as texts."""
        folder = self.folder / ("postfix-mail/all" if name == "postfix"
                                else name + "/mail")
        return [f.read_text(errors="replace") for f in folder.glob("new/*")]

    def start_server(self, name):
        addresses = {self.address(*key): pem for key, pem in
                     sorted(self.pems.items()) if key[0] == name}
        if name == "postfix":
            return self.start_postfix(addresses)
        kind = {"exim": exim.Exim, "opensmtpd": opensmtpd.Opensmtpd}[name]
        server = kind(self.folder / name, BUILD / name, self.port, addresses)
        self.running.append(server)
        server.wait()
        return server

    def traces(self, server):
        """{recipient: how the server says that its mail came}."""
        found = {}
        for text in self.messages(server):
            received = re.split(r"\n(?!\s)",
                                text[text.index("Received:"):])[0]
            to = re.search(r"\sfor\s+<?([^<>;\s]+)>?", received).group(1)
            assert to not in found, f"{server}: {to} came twice"
            found[to] = TLS if re.search(r"\besmtps\b", received, re.I) \
                else CLEAR
        return found

    def arrived(self, found):
        """All traces, when what was delivered stands in the maildirs."""
        count = sum(what[0] == "delivered" for what in found.values())
        wait_until(lambda: sum(len(self.messages(s)) for s in self.servers)
                   >= count, 10)
        return {to: how for server in self.servers
                for to, how in self.traces(server).items()}

    def conf(self):
        return (f'resolvers = {{ "127.0.0.1:{self.resolver}" }}\n'
                f'port = {self.port}\nallow-local-mx = on\n'
                f'tls {{ ca-file = "{self.ca.file}"  mta-sts-port = '
                f'{self.web.server_port} }}\n')

    def __enter__(self):
        try:
            with ThreadPoolExecutor() as pool:
                self.start_dns()
                self.start_web()
                names = sorted({d.server for d in self.domains})
                self.servers = dict(zip(names, pool.map(self.start_server,
                                                        names)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for one in reversed(self.running):
            one.stop()
