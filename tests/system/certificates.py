"""Certificates for a test, made by openssl(1): a CA and what it signs.

    ca = Authority(folder)
    pem = ca.issue("mx.example.org")      # key and certificate in one file
"""
import subprocess


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def new_key(path):
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
            str(path))


class Authority:
    def __init__(self, folder, name="Test CA"):
        self.folder = folder
        self.count = 0
        stem = name.replace(" ", "-").lower()
        self.key, self.file = folder / f"{stem}.key", folder / f"{stem}.pem"
        new_key(self.key)
        openssl("req", "-x509", "-new", "-key", str(self.key), "-days", "9",
                "-subj", f"/CN={name}", "-out", str(self.file))

    def issue(self, *names, days=5, self_signed=False, ip=None):
        """A file with certificate and key for these DNS names (and an
        address); days < 0: expired since then."""
        self.count += 1
        stem = self.folder / f"{self.key.stem}-{self.count}"
        key, request, crt, pem, ext = (stem.with_suffix(s) for s in
                                       (".k", ".csr", ".crt", ".pem", ".ext"))
        new_key(key)
        ext.write_text("subjectAltName=" +
                       ",".join(f"DNS:{n}" for n in names)
                       + (f",IP:{ip}" if ip else "") + "\n")
        openssl("req", "-new", "-key", str(key), "-subj", f"/CN={names[0]}",
                "-out", str(request))
        signer = ["-signkey", str(key)] if self_signed else \
            ["-CA", str(self.file), "-CAkey", str(self.key)]
        openssl("x509", "-req", "-in", str(request), *signer, "-set_serial",
                str(1000 + self.count), "-days", str(days), "-extfile",
                str(ext), "-out", str(crt))
        pem.write_text(key.read_text() + crt.read_text())
        return pem
