"""What a newcomer does: starts it, sends, looks, stops. No program may die of
being looked at.
"""
from outpost import Folder, Instance, Sink


def main():
    with Folder() as folder, Sink(folder / "arrived") as sink:
        outpost = Instance(folder / "instance", f'''
route "arrives.example" {{ servers = {{ "smtp://127.0.0.1:{sink.port}" }} }}
route "later.example" {{ servers = {{ "smtp://127.0.0.1:1" }} }}
''')
        with outpost:
            runner = outpost.pids("outpost-runner")
            for who in ("arrives", "later"):
                done = outpost.sendmail(
                    f"To: a@{who}.example\nSubject: {who}\n\nhello\n",
                    "-t", "-v")
                assert done.returncode == 0, done
            message = sink.wait(1)[0]
            assert b"Subject: arrives\r\n" in message, message
            for words in (["queue", "list"], ["queue", "stats"], ["status"],
                          ["lines"]):
                for _ in range(2):
                    outpost.command(*words)
                    outpost.command(*words, "--json")
            found = outpost.queue()
            assert len(found) == 1, found
            assert found[0]["recipient"] == "a@later.example", found
            outpost.command("queue", "show", found[0]["id"])
            why = outpost.json("queue", "explain", found[0]["id"])[0]
            assert why["chain"] and why["next"]["when"], why
            assert outpost.pids("outpost-runner") == runner, \
                "the runner died of a question\n" + outpost.text()


if __name__ == "__main__":
    main()
