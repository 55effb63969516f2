"""What reload and start promise: nothing under way is dropped; the log, its
level and zone reach every program; a file moved away is opened anew; bad
certificates are refused; a start that cannot succeed ends and says why."""
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time

import outpost as harness
from outpost import Folder, Instance, Sink, free_port, wait_until
from scripted import Answer, Stage

PROGRAMS = {"outpost", "outpost-queued", "outpost-runner", "outpost-resolve",
            "outpost-remote", "outpost-smtpd"}
RETRY = 'retry { wait = 1s  factor = 1  max-wait = 1s  jitter = 0% }\n'
LINE = re.compile(r"(\S+) ([a-z-]+)\[\d+\]: (.*)")


def relay(port, more=""):
    return ('mode = "relay"\nrelay "default" { servers = '
            f'{{ "smtp://127.0.0.1:{port}" }} tls = "none" }}\n' + RETRY +
            more)


def send(instance, to="b@example.org"):
    done = instance.sendmail("Subject: x\n\nhello\n", "-f", "a@example.com",
                             to)
    assert done.returncode == 0, (done, instance.text())


def smtp(instance, to="b@example.org"):
    with smtplib.SMTP("127.0.0.1", instance.port, timeout=10) as client:
        client.sendmail("a@example.com", [to], "Subject: x\r\n\r\nhello\r\n")


def own(instance):
    return next(o for o in instance.json("status")
                if o.get("program") == "outpost")


def programs(instance):
    return {o["program"]: o for o in instance.json("status")
            if "program" in o}


def all_ready(instance):
    return all(o["state"] == "ready" for o in programs(instance).values())


def lines_of(path):
    """(stamp, program, text) of a log."""
    try:
        found = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [LINE.match(line).groups() for line in found if LINE.match(line)]


def speakers(path):
    return {program for _, program, _ in lines_of(path)}


def certificate(folder, name):
    cert, key = folder / f"{name}.cert", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         f"/CN={name}", "-keyout", key, "-out", cert],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


# --- the log -----------------------------------------------------------------

def log_moved(folder):
    """A log that was moved away, or another in the configuration: all programs
    go on in the new file after a reload, by command or signal; the lines too,
    from their next session on."""
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", relay(sink.port, 'log = "detailed"\n')) \
            as i:
        count = 0
        log = i.folder / "log"
        for how in ("reload", "signal", "log-to"):
            send(i)
            smtp(i)
            count += 2
            sink.wait(count)
            i.wait_empty()
            old = i.folder / f"log.{how}"
            log.rename(old)
            if how == "log-to":
                log = i.folder / "elsewhere"
                i.conf.write_text(i.conf.read_text().replace(
                    'log-to = "log"', 'log-to = "elsewhere"'))
            if how == "signal":
                os.kill(i.process.pid, signal.SIGHUP)
            else:
                i.command("reload")
            assert wait_until(lambda: all_ready(i) and PROGRAMS <=
                              speakers(log)), (how, speakers(log))
            send(i)
            smtp(i)
            count += 2
            sink.wait(count)
            i.wait_empty()
            seen = {(program, text.split()[0])
                    for _, program, text in lines_of(log)}
            for word in (("outpost-remote", "smtp-command"),
                         ("outpost-queued", "accepted"),
                         ("outpost-smtpd", "command")):
                assert any(program == word[0] and word[1] in event
                           for program, event in seen), (how, word, seen)
            # what writes to the old file now has not heard of the new one
            size = old.stat().st_size
            send(i)
            smtp(i)
            count += 2
            sink.wait(count)
            i.wait_empty()
            assert old.stat().st_size == size, (how, lines_of(old)[-3:])
        # a log that cannot be had: refused, nothing changes
        i.conf.write_text(i.conf.read_text().replace(
            'log-to = "elsewhere"', 'log-to = "missing/log"'))
        done = i.command("reload", check=False)
        assert done.returncode == 1 and "missing/log" in done.stderr, done
        assert own(i)["log_to"] == str(log)
        smtp(i)


def log_level(folder):
    """The file's level comes with a reload; an operator's holds over reloads
    until he says otherwise, and status says so."""
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", relay(
                sink.port, 'line "default" { messages-per-connection = 1 }\n')
            ) as i:
        plain = i.conf.read_text()
        log = i.folder / "log"
        count = 0

        def is_detailed():
            nonlocal count
            before = len(lines_of(log))
            smtp(i)
            count += 1
            sink.wait(count)
            i.wait_empty()
            fresh = lines_of(log)[before:]
            said = {program for program in ("outpost-smtpd", "outpost-remote")
                    if any(program == p and "command" in text.split()[0]
                           for _, p, text in fresh)}
            assert len(said) in (0, 2), (said, fresh)
            return bool(said)

        def level():
            status = own(i)
            return status["log"], status["log_overridden"]

        assert not is_detailed() and level() == ("basic", False)
        i.conf.write_text(plain + 'log = "detailed"\n')
        i.command("reload")
        assert is_detailed() and level() == ("detailed", False)
        i.command("log", "basic")
        assert not is_detailed() and level() == ("basic", True)
        assert "configuration has another" in i.command("status").stdout
        i.command("reload")
        assert not is_detailed() and level() == ("basic", True)
        i.command("log", "detailed")  # what the file says: no override
        assert is_detailed() and level() == ("detailed", False)
        i.conf.write_text(plain)
        i.command("log", "detailed")
        i.command("reload")
        assert not is_detailed() and level() == ("basic", False)
        i.command("log", "detailed")
        i.command("reload")
        assert is_detailed() and level() == ("detailed", True)
        i.command("log", "basic")
        assert not is_detailed() and level() == ("basic", False)


def time_zone(folder):
    """Of headers and log, in every program, without a file being opened by a
    confined one."""
    if not pathlib.Path("/usr/share/zoneinfo/Asia/Kolkata").exists():
        print("  skipped, needs the zones (tzdata)")
        return
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", relay(sink.port)) as i:
        plain = i.conf.read_text()
        for count, (zone, offset) in enumerate(
                (("Asia/Kolkata", "+0530"), ("America/Caracas", "-0400"),
                 ("Asia/Kolkata", "+0530")), 1):
            log = i.folder / "log"
            log.rename(i.folder / f"log.{count}")
            i.conf.write_text(plain + f'timezone = "{zone}"\n')
            i.command("reload")
            assert wait_until(lambda: all_ready(i) and
                              PROGRAMS <= speakers(log)), speakers(log)
            smtp(i)
            text = sink.wait(count)[-1].decode()
            received = text.split("\r\n\r\n")[0].split("Received:")[1]
            assert offset in received, received
            written = offset[:3] + ":" + offset[3:]
            assert {stamp[-6:] for stamp, _, _ in lines_of(log)} == \
                {written}, lines_of(log)


# --- certificates ------------------------------------------------------------

def tls_name(port):
    """The name in the certificate that is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 10) as plain, \
            context.wrap_socket(plain) as s:
        der = s.getpeercert(binary_form=True)
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout",
                           "-subject"], input=der, stdout=subprocess.PIPE,
                          check=True)
    return done.stdout.decode().strip().rpartition("=")[2].strip()


def bad_certificates(folder):
    """Refused with file, line and reason, by check, start and reload; what
    serves goes on with the old one."""
    i = Instance(folder / "o")
    port = free_port()
    first, second = (certificate(i.folder, n) for n in ("first", "second"))
    cert, key = i.folder / "cert.pem", i.folder / "key.pem"
    shutil.copy(first[0], cert)
    shutil.copy(first[1], key)
    i.configure(f'listen "127.0.0.1:{port}" {{ tls = "implicit"  certificate '
                '= "cert.pem"  key = "key.pem" }\n')
    line = i.conf.read_text().splitlines().index(next(
        l for l in i.conf.read_text().splitlines() if "implicit" in l)) + 1
    bad = {
        "no start line": lambda: cert.write_text("not a certificate\n"),
        "mismatch": lambda: shutil.copy(second[1], key),
        "key": lambda: key.write_text(key.read_text()[:40]),
        "certificate": lambda: cert.write_bytes(os.urandom(5000)),
        "cert.pem": cert.unlink,
        "cannot be checked|certificate": lambda: (
            cert.unlink(), cert.symlink_to("/dev/zero")),
    }

    def mend():
        cert.unlink(missing_ok=True)
        shutil.copy(first[0], cert)
        shutil.copy(first[1], key)

    i.start()
    smtpd = programs(i)["outpost-smtpd"]["pid"]
    for word, spoil in bad.items():
        spoil()
        for words in (("reload",), ("check",)):
            done = i.command(*words, check=False)
            assert done.returncode == (1 if words == ("reload",) else 78) and \
                f"outpost.conf:{line}: " in done.stderr and \
                re.search(word, done.stderr), (word, words, done)
        assert tls_name(port) == "first"
        assert programs(i)["outpost-smtpd"]["pid"] == smtpd
        mend()
    assert i.command("check").stdout == "configuration ok\n"
    shutil.copy(second[0], cert)
    shutil.copy(second[1], key)
    i.command("reload")
    assert wait_until(lambda: all_ready(i) and tls_name(port) == "second")
    i.stop()
    assert not i.deaths(), i.text()
    cert.write_text("not a certificate\n")
    for words in (("run",), ("start",)):
        done = i.command(*words, check=False)
        assert done.returncode == 78 and \
            f"outpost.conf:{line}: " in done.stderr, done
    if os.geteuid() == 0:  # a key for root alone
        mend()
        key.chmod(0o600)
        done = i.command("check", user=65534, group=65534, extra_groups=[])
        assert "not checked" in done.stderr, done


# --- a start that fails ------------------------------------------------------

def start_fails(folder):
    """A program that ends again and again before all are ready: start and run
    end too, with its name and its last words."""
    original = harness.BIN
    copy = folder / "bin"
    shutil.copytree(original, copy, symlinks=True)
    os.chmod(folder, 0o755)
    harness.BIN = copy
    try:
        i = Instance(folder / "o")
        program = copy / "outpost-resolve"
        program.unlink()
        for text, word in (("#!/bin/sh\nexit 111\n", "exit status 111"),
                           ("not a program\n", "exec"),
                           ("#!/bin/sh\nkill -9 $$\n", "signal 9")):
            program.write_text(text)
            program.chmod(0o755)
            for words in (("start",), ("run",))[:2 if "111" in word else 1]:
                started = time.monotonic()
                done = i.command(*words, check=False)
                assert done.returncode == 1, done
                assert "outpost-resolve does not start" in done.stderr and \
                    word in done.stderr, done
                assert time.monotonic() - started < 20
                assert i.command("status", check=False).returncode == 1
        assert "start-given-up" in i.log()
        program.unlink()
        shutil.copy(original / "outpost-resolve", copy)
        # what a program says itself
        i.start()
        i.stop()
        shutil.rmtree(i.folder / "spool/journal")
        (i.folder / "spool/journal").write_text("in the way\n")
        done = i.command("start", check=False)
        assert done.returncode == 1 and \
            "outpost-queued does not start: exit status 111: " \
            in done.stderr and "journal" in done.stderr, done
        # one that fails a few times only
        (i.folder / "spool/journal").unlink()
        program.unlink()
        program.write_text(
            f'#!/bin/sh\nn=$(cat {folder}/n 2>/dev/null || echo 0)\n'
            f'[ "$n" = 2 ] && exec {original}/outpost-resolve\n'
            f'echo $((n + 1)) >{folder}/n\nexit 111\n')
        program.chmod(0o755)
        i.command("start")
        assert all_ready(i)
        i.command("stop")
    finally:
        harness.BIN = original


# --- nothing is dropped ------------------------------------------------------

def route(name, address, more=""):
    return f'route "{name}" {{ servers = {{ "smtp://{address}" }} {more} }}\n'


def run_of(instance):
    """What stands when nothing was started again."""
    return {name: (o["pid"], o["restarts"])
            for name, o in programs(instance).items()
            if name not in ("outpost-resolve",)}


def check_sums(instance, delivered):
    stats = instance.stats()
    assert (stats["delivered"], stats["failed"], stats["uncertain"],
            stats["recipients"]) == (delivered, 0, 0, 0), stats


def sessions_survive(folder):
    """Whoever is connected notices nothing, in the middle of a command or a
    message; new limits hold at once. The same listen blocks: the same
    process; else the others go on."""
    with Sink(folder / "sink") as sink, \
            Instance(folder / "o", route(
                "*.example", f"127.0.0.1:{sink.port}")) as i:
        plain = i.conf.read_text()
        before = run_of(i)
        early = smtplib.SMTP("127.0.0.1", i.port, timeout=10)
        early.ehlo()
        text = smtplib.SMTP("127.0.0.1", i.port, timeout=10)
        text.ehlo()
        big = smtplib.SMTP("127.0.0.1", i.port, timeout=10)
        big.ehlo()
        for client in (text, big):
            client.mail("a@example.com")
            client.rcpt("b@x.example")
            assert client.docmd("DATA")[0] == 354
            client.send(b"Subject: x\r\n\r\n" + b"first\r\n" * 400)
        half = smtplib.SMTP("127.0.0.1", i.port, timeout=10)
        half.ehlo()
        half.send(b"MAIL FROM:<a@exa")
        for more in ("", RETRY, RETRY + 'line "default" { count = 3 }\n' +
                     route("y.example", "127.0.0.1:1"),
                     'localname = "other.example"\nlimits { message-size = '
                     '2K  recipients = 5  connections = 50 }\n' + RETRY):
            i.conf.write_text((plain if "localname" not in more else
                               plain.partition("\n")[2]) + more)
            i.command("reload")
            assert wait_until(lambda: all_ready(i)), i.text()
            assert run_of(i) == before, (more, before, run_of(i))
        half.send(b"mple.com>\r\n")
        assert half.getreply()[0] == 250
        early.mail("a@example.com")
        assert early.rcpt("b@x.example")[0] == 250
        assert early.data("Subject: x\r\n\r\nhello\r\n")[0] == 250
        # what is beyond the new limit now is refused, not let through
        big.send(b"more\r\n" * 1000 + b".\r\n")
        assert big.getreply()[0] == 552
        assert wait_until(lambda: b"SIZE 2048" in smtplib.SMTP(
            "127.0.0.1", i.port, timeout=10).ehlo()[1])
        i.conf.write_text(plain)
        i.command("reload")
        text.send(b"second\r\n.\r\n")
        assert text.getreply()[0] == 250
        sink.wait(2)
        i.wait_empty()
        check_sums(i, 2)
        # another listener: another process, and only that
        i.conf.write_text(
            plain + f'listen "127.0.0.1:{free_port()}" {{ }}\n')
        i.command("reload")
        assert wait_until(lambda: all_ready(i) and run_of(i)[
            "outpost-smtpd"][0] != before["outpost-smtpd"][0]), i.text()
        del before["outpost-smtpd"]
        assert before.items() <= run_of(i).items()
        smtp(i, "b@x.example")
        sink.wait(3)


def bundle_changes(folder):
    """Another CA bundle, by its name or in its place: another spawner and
    fetcher, which read it before their sandbox, and only these. Nobody keeps
    it open."""
    i = Instance(folder / "o", listen=False)
    bundles = [i.folder / name for name in ("one.pem", "two.pem")]
    for bundle in bundles:
        shutil.copy(certificate(i.folder, "ca")[0], bundle)

    def configure(bundle, more=""):
        i.configure(f'tls {{ ca-file = "{bundle}" {more} }}\n')

    def reloaded(change, wanted):
        before = run_of(i)
        change()
        i.command("reload")
        assert wait_until(lambda: all_ready(i) and {
            n.removeprefix("outpost-") for n, run in run_of(i).items()
            if run != before[n]} == wanted), (wanted, i.text())
        for pid, restarts in run_of(i).values():
            assert not restarts, i.text()
            if os.geteuid() != 0:  # not dumpable: root alone may look
                continue
            for number in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                assert not os.readlink(number).endswith(".pem"), number

    if os.geteuid() != 0:
        print("  open descriptors not looked at: needs root")
    configure(bundles[0])
    i.start()
    both = {"remote", "fetch"}
    reloaded(lambda: None, set())
    reloaded(lambda: configure(bundles[1]), both)
    reloaded(lambda: bundles[0].rename(bundles[1]), both)
    reloaded(lambda: bundles[1].write_text("none\n"), both)
    reloaded(lambda: None, set())
    reloaded(lambda: configure(bundles[1], "mta-sts-port = 444"), {"fetch"})
    started = [text.split("program=")[1].split()[0].removeprefix("outpost-")
               for _, _, text in lines_of(i.folder / "log")
               if text.startswith("child-started")]
    assert (started.count("remote"), started.count("fetch"),
            started.count("runner")) == (4, 5, 1), started
    i.stop()
    assert not i.deaths(), i.text()


def lines_finish(folder):
    """What a line has in hand when the configuration changes is finished and
    recorded; what waits goes by the new one; counts of groups take effect."""
    stage = Stage()
    slow = stage.host("127.0.4.11", {"end": Answer("250 ok", delay=4)})
    quick = stage.host("127.0.4.12", {"end": Answer("250 ok", delay=0.3)})
    dead = f"127.0.4.13:{stage.port}"

    def conf(count, address, more=""):
        return RETRY + f'line "default" {{ count = {count} }}\n' + "".join(
            route(f"d{n}.example", address) for n in range(6)) + \
            route("dead.example", dead if address.startswith("127.0.4.11")
                  else address) + more

    def sending():
        return [l for l in i.json("lines") if l["state"] == "sending"]

    with Instance(folder / "o",
                  conf(2, f"127.0.4.11:{stage.port}"), listen=False) as i:
        before = run_of(i)
        send(i, "b@dead.example")
        for n in range(6):
            send(i, f"b@d{n}.example")
        assert wait_until(lambda: len(sending()) == 2), i.text()
        old = {l["pid"] for l in sending()}
        i.configure(conf(6, f"127.0.4.12:{stage.port}"))
        i.command("reload")
        # what was deferred or waited is with the new server; the old lines
        # still wait for the slow one
        assert wait_until(lambda: len(quick.messages) == 5), i.text()
        assert old <= {l["pid"] for l in i.json("lines")}, \
            (old, i.json("lines"), i.log())
        i.wait_empty()
        check_sums(i, 7)
        assert len(slow.messages) == 2
        assert wait_until(lambda: len(i.json("lines")) == 6)
        assert wait_until(lambda: not old & {
            l["pid"] for l in i.json("lines")}), "an old line goes on"
        # more at once than there were lines before
        for n in range(6):
            send(i, f"b@d{n}.example")
        assert wait_until(lambda: len(sending()) > 2), i.json("lines")
        i.wait_empty()
        # fewer; and a group that comes and goes while it sends
        i.configure(conf(1, f"127.0.4.12:{stage.port}",
                         'line "bulk" { count = 3 }\n').replace(
            'd0.example" {', 'd0.example" { line = "bulk"'))
        i.command("reload")
        assert wait_until(lambda: sorted(
            l["group"] for l in i.json("lines")) ==
            ["bulk"] * 3 + ["default"]), i.json("lines")
        for n in range(6):
            send(i, f"b@d{n}.example")
        assert wait_until(lambda: {l["group"] for l in sending()} ==
                          {"bulk", "default"}), i.text()
        assert len([l for l in sending() if l["group"] == "default"]) == 1
        i.configure(conf(2, f"127.0.4.12:{stage.port}"))
        i.command("reload")
        i.wait_empty()
        check_sums(i, 19)
        assert wait_until(lambda: [l["group"] for l in i.json("lines")] ==
                          ["default"] * 2), i.json("lines")
        assert run_of(i) == before
        assert len(quick.messages) == 17
    stage.stop()


def reload_in_a_storm(folder):
    """Again and again while mail flows: each message arrives once, none is
    uncertain, and nothing was started again but the resolver."""
    stage = Stage()
    hosts = [stage.host(f"127.0.4.{n}", {"end": Answer("250 ok", delay=0.02)})
             for n in (14, 15)]
    confs = [RETRY + f'line "default" {{ count = {count} }}\n' + "".join(
        route(f"d{n}.example", f"127.0.4.{(14, 15)[(n + turn) % 2]}:"
              f"{stage.port}") for n in range(5))
        for turn, count in ((0, 3), (1, 8), (0, 1), (1, 4))]
    count = 150
    with Instance(folder / "o", confs[0]) as i:
        before = run_of(i)
        with smtplib.SMTP("127.0.0.1", i.port, timeout=20) as client:
            for n in range(count):
                client.sendmail("a@example.com", [f"b{n}@d{n % 5}.example"],
                                "Subject: x\r\n\r\nhello\r\n")
                if n % 10 == 5:
                    i.configure(confs[n // 10 % len(confs)])
                    i.command("reload")
        for turn in range(5):
            i.configure(confs[turn % len(confs)])
            i.command("reload")
        i.wait_empty(30)
        check_sums(i, count)
        assert wait_until(lambda: all_ready(i))
        assert run_of(i) == before
        rcpts = [m.rcpts[0] for h in hosts for m in h.messages]
        assert len(rcpts) == count and len(set(rcpts)) == count, len(rcpts)
        assert "line-lost" not in i.log() and "runner-lost" not in i.log()
    stage.stop()


def main():
    only = sys.argv[1:]
    for scene in (log_moved, log_level, time_zone, bad_certificates,
                  start_fails, sessions_survive, bundle_changes, lines_finish,
                  reload_in_a_storm):
        if only and scene.__name__ not in only:
            continue
        print(scene.__name__, flush=True)
        started = time.monotonic()
        with Folder() as folder:
            scene(folder)
        print(f"  {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
