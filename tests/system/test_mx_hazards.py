"""Direct delivery by hostile or broken DNS, end to end (hazards 42 and 43): MX
records that lead back to this machine, loop, are hundreds, or have names that
are none; addresses that refuse, and IPv6 that swallows everything.
"""
import contextlib
import re
import select
import socket
import threading
import time

from dns import Dns
from outpost import Folder, Instance, Sink, free_port, wait_until

RETRY = 'retry { wait = 1h  factor = 1  lifetime = 2d }\n'
ZONES = {"trap.example": (
    # this machine, in all its names
    "lo IN MX 10 lo4\nlo4 IN A 127.0.0.1\n"
    "lo6 IN MX 10 h6\nh6 IN AAAA ::1\n"
    "mapped IN MX 10 hm\nhm IN AAAA ::ffff:127.0.0.1\n"
    "any IN MX 10 ha\nha IN A 0.0.0.0\n"
    "meta IN MX 10 hl\nhl IN A 169.254.169.254\n"
    "implicit IN A 127.0.0.1\n"
    "host IN MX 10 localhost.\n"
    "null IN MX 0 .\n"
    # nowhere
    "loop1 IN CNAME loop2\nloop2 IN CNAME loop1\n"
    "toloop IN MX 10 loop1\n"
    "ghost IN MX 10 nobody\n"
    # names that are none
    "odd IN MX 10 \\027\\091\\050J\\010x.trap.example.\n"
    "space IN MX 10 a\\032b.trap.example.\n"
    "long IN MX 10 " + "x" * 63 + "." + "y" * 63 + ".trap.example.\n"
    # five hundred that lead here
    + "".join(f"many IN MX {i} m{i}\nm{i} IN A 127.0.0.1\n"
              for i in range(1, 501))
    # a thousand addresses
    + "wide IN MX 10 w\n"
    + "".join(f"w IN A 127.{i // 250}.{i % 250 + 1}.1\n" for i in range(1000))
    # a first that refuses, or swallows; a second that takes
    + "two IN MX 10 refuses\ntwo IN MX 20 takes\n"
    "both IN MX 10 six\nsix IN AAAA ::1\nsix IN A 127.0.0.1\n"
    "refuses IN A 127.0.0.77\ntakes IN A 127.0.0.1\n")}


class Listener:
    """Counts who comes to this machine, at the addresses of ZONES."""

    def __init__(self):
        self.port = free_port()
        self.count = 0
        self.is_over = False
        self.sockets = [self.open(socket.AF_INET, a) for a in
                        ("127.0.0.1", *(f"127.0.{n}.1" for n in
                                        range(1, 101)))]
        try:
            self.sockets.append(self.open(socket.AF_INET6, "::1"))
        except OSError:
            print("  without ::1: this machine has none", flush=True)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def open(self, family, address):
        s = socket.socket(family)
        s.bind((address, self.port))
        s.listen(10)
        return s

    def run(self):
        while not self.is_over:
            for s in select.select(self.sockets, [], [], 0.1)[0]:
                s.accept()[0].close()
                self.count += 1

    def close(self):
        self.is_over = True
        self.thread.join()
        for s in self.sockets:
            s.close()


def send(outpost, *names, sender="s@home.example"):
    for name in names:
        done = outpost.sendmail("Subject: x\n\nx\n", "-f", sender,
                                f"u@{name}.trap.example")
        assert done.returncode == 0, done


def not_led_here(folder, dns):
    """By default no MX record leads to this machine: mail for it fails with a
    reason, or waits; nobody is connected to."""
    trap = Listener()
    failing = ("lo", "lo6", "mapped", "any", "meta", "implicit", "host",
               "many", "wide")
    broken = ("null", "ghost")
    waiting = ("toloop", "loop1")
    odd = ("odd", "space", "long")
    with Sink(folder / "sink") as sink:
        conf = (RETRY + f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
                f'port = {trap.port}\nroute "home.example" {{ servers = '
                f'{{ "smtp://127.0.0.1:{sink.port}" }} }}\n')
        with Instance(folder / "a", conf, listen=False) as i:
            send(i, *failing, *broken, *waiting, *odd)
            count = len(failing) + len(broken)
            assert wait_until(
                lambda: len(sink.messages()) >= count and all(
                    d["state"] == "deferred" for d in i.queue()), 30), \
                ([(d["destination"], d["state"]) for d in i.queue()],
                 i.text())
            told = {}
            for report in sink.messages():
                name = re.search(rb"Final-Recipient: rfc822; ?u@(\w+)\.",
                                 report)[1].decode()
                told[name] = re.search(rb"Status: ([0-9.]+)",
                                       report)[1].decode()
            assert set(failing) | set(broken) <= set(told), told
            assert all(told[n] == "5.4.6" for n in failing), told
            assert told["null"] == "5.1.10", told
            left = {d["destination"].split(".")[0]: d for d in i.queue()}
            assert set(waiting) <= set(left), left
            # what is no name goes nowhere, and does no harm to look at
            assert set(odd) <= set(told) | set(left), (told, left)
            for out in (i.command("queue", "list").stdout, i.log()):
                assert not re.search(r"[^\n\x20-\x7e]", out), out
            assert trap.count == 0
    trap.close()


def goes_on(folder, dns):
    """Refused connections cost no time, and hundreds of hosts are bounded."""
    with Sink(folder / "sink2") as sink:
        conf = (RETRY + f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
                f'port = {sink.port}\nallow-local-mx = on\n')
        with Instance(folder / "b", conf, listen=False) as i:
            send(i, "two", "both")  # AAAA refuses: nobody listens at ::1
            sink.wait(2, 20)
            i.wait_empty()
    closed = free_port()
    conf = (RETRY + f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
            f'port = {closed}\nallow-local-mx = on\nlog = "detailed"\n')
    with Instance(folder / "c", conf, listen=False) as i:
        send(i, "many", "wide")
        assert wait_until(lambda: [d["state"] for d in i.queue()] ==
                          ["deferred"] * 2, 20), i.queue()
        tries = i.log().count("host-failed")
        assert 16 <= tries <= 32, tries


def swallowed(folder, dns):
    """IPv6 that swallows connections: the IPv4 address gets it after a moment,
    and the next mail at once."""
    with Sink(folder / "sink3") as sink:
        hole = socket.socket(socket.AF_INET6)
        try:
            hole.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            hole.bind(("::1", sink.port))
        except OSError:
            print("  skipped, needs ::1")
            return
        hole.listen(0)
        full = []  # until the backlog is full nothing is swallowed
        for _ in range(4):
            client = socket.socket(socket.AF_INET6)
            client.setblocking(False)
            client.connect_ex(("::1", sink.port))
            full.append(client)
        conf = (RETRY + f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
                f'port = {sink.port}\nallow-local-mx = on\nlog = "detailed"\n')
        with Instance(folder / "d", conf, listen=False) as i:
            send(i, "both")
            sink.wait(1, 20)
            send(i, "both")
            sink.wait(2, 20)
            i.wait_empty()
            # asked once: then it is known
            passed = re.findall(r"address-passed-over.*::1.*slower", i.log())
            assert len(passed) == 1, i.log()
        for client in [*full, hole]:
            client.close()


def refuse_all(listener):
    """A server that wants no IPv6 without a reverse name; one thread."""
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), sock, \
                sock.makefile("rwb") as talk:
            talk.write(b"220 six\r\n")
            talk.flush()
            for line in talk:
                is_mail = line.upper().startswith(b"MAIL")
                talk.write(b"550-5.7.1 [::1] does not meet IPv6 sending "
                           b"guidelines\r\n550 5.7.1 regarding PTR\r\n"
                           if is_mail else b"250 ok\r\n")
                talk.flush()


def unwelcome(folder, dns):
    """Refused for the IPv6 address that it comes from: over IPv4 then."""
    with Sink(folder / "sink4") as sink:
        listener = socket.socket(socket.AF_INET6)
        try:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(("::1", sink.port))
        except OSError:
            print("  skipped, needs ::1")
            return
        listener.listen(5)
        threading.Thread(target=refuse_all, args=[listener],
                         daemon=True).start()
        conf = (RETRY + f'resolvers = {{ "127.0.0.1:{dns.port}" }}\n'
                f'port = {sink.port}\nallow-local-mx = on\nlog = "detailed"\n')
        with Instance(folder / "e", conf, listen=False) as i:
            send(i, "both")
            sink.wait(1, 20)
            i.wait_empty()
            assert "IPv6 sending" in i.log(), i.log()
        listener.close()


def main():
    with Folder() as folder, Dns(folder, ZONES) as dns:
        for scene in (not_led_here, goes_on, swallowed, unwelcome):
            started = time.monotonic()
            print(scene.__name__, flush=True)
            scene(folder, dns)
            print(f"  {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
