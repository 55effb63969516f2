"""A message and a server that takes less: what arrives is 7-bit text with lines
that are short enough, and means the same to Python's email package; what cannot
be converted bounces and says why."""
import email
import email.policy
import random
import smtplib
import sys

from outpost import Folder, Instance, wait_until
from scripted import CHUNKING, PIPELINING, Stage

POLICY = email.policy.default.clone(raise_on_defect=False)
LATIN, GREEK = "na\u00efve caf\u00e9", "\u03ba\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1"


def text(body, subtype="plain", charset="utf-8"):
    return (f"Content-Type: text/{subtype}; charset={charset}\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\n").encode() + body.encode(
                charset)


def multipart(*parts, subtype="mixed", boundary="=_b"):
    head = f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'
    return head.encode() + b"".join(
        f"--{boundary}\r\n".encode() + p + b"\r\n" for p in parts
    ) + f"--{boundary}--\r\n".encode()


def samples():
    dice = random.Random(3)
    noise = "".join(dice.choice("ab =.\t\u00e9\u4e2d") for _ in range(3000))
    lines = "\r\n".join(noise[i:i + 61] for i in range(0, 3000, 61))
    inner = b"Subject: inner\r\nMIME-Version: 1.0\r\n" + text(LATIN + "\r\n")
    yield "plain", text(LATIN + "\r\n")
    yield "greek", text(GREEK * 30 + "\r\n\r\n.\r\n" + GREEK)
    yield "latin-1", text(f"{LATIN} =20 \r\n", charset="iso-8859-1")
    yield "noise", text(lines)
    yield "long line", text("word " * 1500 + "end\r\n")
    yield "parts", multipart(text("ascii only\r\n"), text(LATIN),
                             text(f"<p>{GREEK}</p>", "html"))
    yield "nested", multipart(
        multipart(text(LATIN), text(GREEK, "html"), subtype="alternative",
                  boundary="inner"),
        b"Content-Type: message/rfc822\r\n\r\n" + inner, text("last " + LATIN))
    yield "no type", b"\r\n" + LATIN.encode() + b"\r\n"


def as_declared(name, data):
    """What stands for a text that says nothing of itself."""
    if name != "no type":
        return data
    return b"Content-Type: text/plain; charset=utf-8\r\n" + data


def whole(name, content):
    head = (f"From: \"Ren\u00e9, X\" <from@x.example>\r\nTo: to@y.example\r\n"
            f"Subject: {name} \u00e9t\u00e9 \u2192 {GREEK}\r\n").encode()
    if name != "no type":
        head += b"MIME-Version: 1.0\r\n"
    return head + content


def meaning(data):
    """What a reader sees: headers and decoded parts."""
    message = email.message_from_bytes(data, policy=POLICY)
    seen = [str(message["subject"]), str(message["from"])]
    for part in message.walk():
        if part.is_multipart():
            seen.append(part.get_content_type())
        else:
            content = part.get_content()
            seen.append((part.get_content_type(),
                         content.replace("\r\n", "\n").rstrip("\n")))
    return seen


def submit(outpost, recipient, data):
    with smtplib.SMTP("127.0.0.1", outpost.port, timeout=30) as client:
        client.ehlo()
        client.mail("from@x.example", ["BODY=8BITMIME"])
        client.rcpt(recipient)
        code, answer = client.data(data)
        assert code == 250, answer


def check_arrived(name, offers, sent, got):
    assert all(c < 128 for c in got), f"{name}: 8 bits arrived"
    lines = got.split(b"\r\n")
    assert max(map(len, lines)) <= 998, f"{name}: a long line arrived"
    assert b"\n" not in b"".join(lines), f"{name}: a bare LF"
    # the header that trace fields precede
    wanted = meaning(as_declared(name, sent))
    assert meaning(got) == wanted, (name, offers, meaning(got), wanted)
    print(f"{' '.join(offers) or 'bare':24} {name:10} converted, same meaning")


def main():
    offered = [(), (PIPELINING,), (PIPELINING, CHUNKING)]
    with Folder() as folder, Stage() as stage:
        hosts = [stage.host(f"127.0.7.{i + 1}", {"offers": offers})
                 for i, offers in enumerate(offered)]
        routes = "".join(
            f'route "h{i}.example" {{ servers = {{ '
            f'"smtp://{h.address}:{stage.port}" }} }}\n'
            for i, h in enumerate(hosts))
        with Instance(folder / "o", routes) as outpost:
            for i, host in enumerate(hosts):
                for name, content in samples():
                    data = whole(name, content)
                    before = len(host.messages)
                    submit(outpost, f"to@h{i}.example", data)
                    assert wait_until(lambda: len(host.messages) > before,
                                      20), f"{name} has not arrived"
                    check_arrived(name, offered[i], data,
                                  host.messages[-1].content)
            check_signed(outpost, hosts[0])
    print("fit: all is well")


def check_signed(outpost, host):
    before = len(host.messages)
    data = b"DKIM-Signature: v=1; a=x\r\n" + whole("signed", text(LATIN))
    submit(outpost, "signed@h0.example", data)
    assert wait_until(lambda: "signature would be broken" in outpost.log(),
                      20), "no bounce that names the signature"
    assert len(host.messages) == before


if __name__ == "__main__":
    sys.exit(main())
