#!/usr/bin/env python3
"""make check: every test in a process of its own, with a time limit.

Prints one line a test with its seconds, the output of those that fail, and
last "N passed, N failed[, N skipped]". A test that exits with 77 is skipped,
for the reason in its last line of output.
"""
import argparse
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parent
LIMITS = {"unit": 60, "replay": 60, "system": 180, "crash": 300}


def find(options):
    """(kind, name, command) of every test."""
    found = []
    for path in sorted((options.build / "tests").glob("test_*")):
        if not path.suffix:
            found.append(("unit", path.name, [path]))
    for path in sorted((options.build / "replay").glob("fuzz_*")):
        if not path.suffix:
            corpus = TESTS / "fuzz/corpus" / path.name.removeprefix("fuzz_")
            found.append(("replay", path.name, [path, corpus]))
    for kind in ("system", "crash"):
        for path in sorted((TESTS / kind).glob("test_*.py")):
            found.append((kind, path.stem, [sys.executable, path]))
    return [t for t in found if options.only in f"{t[0]}/{t[1]}"]


def run(test, options):
    kind, name, command = test
    env = dict(os.environ, OUTPOST_BIN=str(options.bin),
               OUTPOST_BUILD=str(options.build),
               PYTHONPATH=os.pathsep.join(
                   [str(TESTS / "system"), str(TESTS / "crash")]))
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=env,
                               start_new_session=True, cwd=TESTS.parent)
    try:
        out, _ = process.communicate(timeout=LIMITS[kind])
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        out += f"\nno end after {LIMITS[kind]} s\n".encode()
        status = -1
    return test, status, time.monotonic() - start, \
        out.decode(errors="replace")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default="build")
    parser.add_argument("--bin", type=pathlib.Path, default="bin")
    parser.add_argument("--only", default="", help="part of kind/name")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.build = options.build.resolve()
    options.bin = options.bin.resolve()
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = [pool.submit(run, t, options) for t in find(options)]
        for done in concurrent.futures.as_completed(waiting):
            (kind, name, _), status, seconds, out = done.result()
            word = "ok" if status == 0 else \
                "skipped" if status == 77 else "FAILED"
            counts[word] += 1
            reason = ": " + out.strip().splitlines()[-1] \
                if word == "skipped" and out.strip() else ""
            print(f"{word:8}{kind}/{name} ({seconds:.1f} s){reason}",
                  flush=True)
            if word == "FAILED":
                print(f"--- exit {status}\n{out[-20000:]}\n---", flush=True)
    line = f"{counts['ok']} passed, {counts['FAILED']} failed"
    if counts["skipped"]:
        line += f", {counts['skipped']} skipped"
    print(line)
    return 1 if counts["FAILED"] or not counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
