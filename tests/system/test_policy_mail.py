"""Mail by published policies, all programs together: DANE from a signed zone
(nsd, unbound), MTA-STS from a web server, to servers that keep what was
published or do not. Prints the table: delivered, or deferred and why."""
import hashlib
import http.server
import ssl
import subprocess
import tempfile
import threading

from certificates import Authority
from dns import Nsd, Signer, Unbound, need
from outpost import Folder, Instance, wait_until
from scripted import OFFERS, Stage

ZONE = "mail.example"
# name: certificate ("" none, "+" of the CA, "-" self-signed, "?" for another
# name), TLSA ("key": its own, "ca", "wrong", "forged"), policy, outcome
CASES = {
    "plain": ("", None, None, "clear"),
    "opportunistic": ("-", None, None, "tls"),
    "dane-key": ("-", "key", None, "tls"),
    "dane-ca": ("+", "ca", None, "tls"),
    "dane-ca-name": ("?", "ca", None, "4.7.5"),
    "dane-wrong": ("+", "wrong", None, "4.7.5"),
    "dane-no-tls": ("", "key", None, "4.7."),
    "dane-forged": ("-", "forged", None, "4.7.5"),
    "sts": ("+", None, "enforce", "tls"),
    "sts-name": ("?", None, "enforce", "4.7.5"),
    "sts-self": ("-", None, "enforce", "4.7.5"),
    "sts-no-tls": ("", None, "enforce", "4.7."),
    "sts-testing": ("?", None, "testing", "tls"),
    "sts-unlisted": ("+", None, "unlisted", "4.7.5"),
    "dane-not-sts": ("-", "key", "unlisted", "tls"),
    "sts-not-dane": ("+", "wrong", "enforce", "4.7.5"),
}


class Policies(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        name = self.headers["Host"].split(".")[1]
        kind = CASES[name][2]
        mx = f"mx-{name}.{ZONE}" if kind != "unlisted" else "x.example"
        mode = kind if kind == "testing" else "enforce"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(f"version: STSv1\nmode: {mode}\nmx: {mx}\n"
                         "max_age: 9999\n".encode())


def web(pem):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Policies)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=[0.05],
                     daemon=True).start()
    return server


def digest(file, *words):
    der = subprocess.run(["openssl", *words, "-in", file], check=True,
                         stdout=subprocess.PIPE).stdout
    if words[0] == "x509" and "-pubkey" in words:
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"],
                             input=der, check=True,
                             stdout=subprocess.PIPE).stdout
    return hashlib.sha256(der).hexdigest()


def tlsa(kind, pem, ca):
    if kind == "ca":
        return "2 0 1 " + digest(ca.file, "x509", "-outform", "DER")
    if kind in ("key", "forged") and pem:
        return "3 1 1 " + digest(pem, "x509", "-pubkey", "-noout")
    return "3 1 1 " + "ab" * 32


def make(stage, ca):
    """Servers for all cases; the zone."""
    lines, hosts = [], {}
    for i, (name, (kind, record, policy, _)) in enumerate(CASES.items(), 1):
        mx, pem = f"mx-{name}.{ZONE}", None
        offers = (*OFFERS, "STARTTLS") if kind else OFFERS
        host = hosts[name] = stage.host(f"127.0.63.{i}", {"offers": offers})
        if kind:
            pem = ca.issue("x.example" if kind == "?" else mx,
                           self_signed=kind == "-")
            host.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            host.tls.load_cert_chain(pem)
            if kind != "-":  # the CA is a trust anchor only when it is sent
                chain = pem.with_suffix(".chain")
                chain.write_text(pem.read_text() + ca.file.read_text())
                host.tls.load_cert_chain(chain)
        lines += [f"{name} IN MX 10 mx-{name}",
                  f"mx-{name} IN A {host.address}"]
        if record:
            lines.append(f"_{stage.port}._tcp.mx-{name} IN TLSA "
                         + tlsa(record, pem, ca)
                         + ("; FORGED" if record == "forged" else ""))
        if policy:
            lines += [f"mta-sts.{name} IN A 127.0.0.1",
                      f'_mta-sts.{name} IN TXT "v=STSv1; id=1"']
    return hosts, {ZONE: "\n".join(lines) + "\n"}


def how_it_went(host):
    for c in list(host.connections):
        if c.messages:
            return "tls" if c.is_tls else "clear"
    return None


def play(folder, outpost, hosts):
    done = outpost.sendmail("Subject: x\n\nhello\n", "-f", "me@own.example",
                            *(f"a@{name}.{ZONE}" for name in CASES))
    assert done.returncode == 0, done

    def settled():
        items = {i["recipient"]: i for i in outpost.queue()}
        waits = {n: items.get(f"a@{n}.{ZONE}") for n in CASES}
        return waits if all(not i or i["attempts"] for i in waits.values()) \
            else None
    waits = wait_until(settled, 25)
    assert waits, outpost.text()
    failed = 0
    for name, (*_, wanted) in CASES.items():
        item = waits[name]
        seen = f"{item['status']} {item['reply']}" if item else \
            str(how_it_went(hosts[name]))
        is_right = seen.startswith(wanted) if item else seen == wanted
        if item and any(c.messages for c in hosts[name].connections):
            is_right = False
        failed += not is_right
        print(f"{'ok  ' if is_right else 'NOT '} {name:14} {seen}",
              flush=True)
    assert not failed, outpost.text()


def main():
    need()
    with Folder() as folder:
        ca, stage = Authority(folder), Stage()
        hosts, zones = make(stage, ca)
        server = web(ca.issue(*(f"mta-sts.{n}.{ZONE}" for n in CASES)))
        signer = Signer(tempfile.mkdtemp(dir=folder))
        nsd = Nsd(folder, zones, signer, [ZONE])
        unbound = Unbound(folder, zones, nsd.port, anchors=signer.anchors)
        conf = (f'resolvers = {{ "127.0.0.1:{unbound.port}" }}\n'
                f'port = {stage.port}\nallow-local-mx = on\n'
                f'tls {{ ca-file = "{ca.file}"  mta-sts-port = '
                f'{server.server_port} }}\nlog = "detailed"\n')
        try:
            with Instance(folder / "o", conf) as outpost:
                play(folder, outpost, hosts)
        finally:
            unbound.stop()
            nsd.stop()
            server.shutdown()
            server.server_close()


if __name__ == "__main__":
    main()
