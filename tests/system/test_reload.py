"""What reload and start promise: the log, its level and zone reach every
program; a file moved away is opened anew; bad certificates are refused; a
start that cannot succeed ends and says why."""
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
from outpost import Folder, Instance, Sink, free_port, program_of, \
    wait_until

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


def main():
    only = sys.argv[1:]
    for scene in (log_moved, log_level, time_zone, bad_certificates,
                  start_fails):
        if only and scene.__name__ not in only:
            continue
        print(scene.__name__, flush=True)
        started = time.monotonic()
        with Folder() as folder:
            scene(folder)
        print(f"  {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
