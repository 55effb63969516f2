"""Rates, windows and what a server was found to take, all programs together;
what was learned is known again after a restart.
"""
import time

from outpost import Folder, Instance, Sink, wait_until
from scripted import Stage


def text(who):
    return f"To: a@{who}.example\nSubject: {who}\n\nhello\n"


def program(outpost, name):
    return next(x for x in outpost.json("status") if x.get("program") == name)


def rate(outpost, sink):
    for _ in range(4):
        assert outpost.sendmail(text("slow"), "-t").returncode == 0
    sink.wait(1)
    waiting = outpost.json("queue", "list")
    assert waiting, "all went at once"
    sink.wait(4)
    times = sorted(f.stat().st_mtime for f in sink.folder.glob("*.eml"))
    assert times[-1] - times[0] > 2.7, times
    limited = program(outpost, "outpost-runner")["limited"]
    assert limited["rate"] == 3, limited
    print(f"4 messages at 60/m took {times[-1] - times[0]:.2f} s")


def window(outpost):
    assert outpost.sendmail(text("night"), "-t").returncode == 0
    assert wait_until(lambda: outpost.queue(), 5)
    time.sleep(0.5)
    found = outpost.queue()[0]
    assert found["state"] == "ready" and found["attempts"] == 0, found


def site(outpost, name):
    return next((x for x in outpost.json("sites", "list")
                 if x["site"] == name), None)


def learned(outpost):
    assert outpost.sendmail(text("busy"), "-t").returncode == 0
    assert wait_until(
        lambda: (site(outpost, "route:busy.example") or
                 {"rate_replies": 0})["rate_replies"] > 0, 10), outpost.text()
    found = outpost.json("sites", "show", "route:busy.example")[0]
    assert "rate limit" in found["reply"], found
    outpost.command("sites", "show", "route:busy.example")
    outpost.command("sites", "list")
    none = outpost.command("sites", "show", "nobody.example", check=False)
    assert none.returncode == 1 and "no site" in none.stderr, none
    return found


def main():
    far = (time.localtime().tm_hour + 12) % 24
    stage = Stage()
    stage.host("127.0.3.1",
               {"MAIL": "450 4.7.1 sending rate limit exceeded"})
    with Folder() as folder, Sink(folder / "arrived") as sink:
        outpost = Instance(folder / "instance", f'''
line "default" {{ }}
line "slow" {{ rate = "60/m" }}
line "night" {{ window = "{far:02}:00-{far:02}:30" }}
route "slow.example" {{
	servers = {{ "smtp://127.0.0.1:{sink.port}" }} line = "slow"
}}
route "night.example" {{
	servers = {{ "smtp://127.0.0.1:{sink.port}" }} line = "night"
}}
route "busy.example" {{
	servers = {{ "smtp://127.0.3.1:{stage.port}" }}
}}
''')
        with outpost:
            rate(outpost, sink)
            window(outpost)
            before = learned(outpost)
            outpost.stop()
            outpost.start()
            assert wait_until(
                lambda: site(outpost, "route:busy.example"), 5), \
                "forgotten by the restart\n" + outpost.text()
            after = site(outpost, "route:busy.example")
            assert after["reply"] == before["reply"], after
            assert after["rate_replies"] >= before["rate_replies"], after


if __name__ == "__main__":
    main()
