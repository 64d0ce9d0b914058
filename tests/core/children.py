"""Child processes for the tests of core/processes: `python -m tests.core.children KIND`. Light to import."""

import os
import subprocess
import sys
import time

from striate.core.processes import Channel


def main(kind: str) -> None:
    if kind == "mute":  # reads nothing
        time.sleep(600)
    channel = Channel()
    if kind == "echo":
        for message in channel.messages():
            sys.stdout.write("a library prints\n")
            subprocess.run(["echo", "so does what it starts"], check=True)
            channel.send(message)
    elif kind == "torn":
        os.write(channel._output.fileno(), b'{"half": ')
    elif kind == "rubbish":
        os.write(channel._output.fileno(), b"3\n")
        time.sleep(600)
    elif kind == "fails":
        channel.send({"is": "first"})
        sys.exit("no torch here")
    elif kind == "parent of a daemon":
        # In a session of its own, so that the kill of the group does not reach it, and with the pipes in its hands.
        daemon = subprocess.Popen(
            ["sleep", "600"], pass_fds=[channel._input.fileno(), channel._output.fileno()], start_new_session=True
        )
        channel.send({"daemon": daemon.pid})
        time.sleep(600)
    elif kind == "counts what it could send":
        sent = 0
        while channel.send({"n": sent}):
            sent += 1
            time.sleep(0.01)
        channel.send({"n": "again"})
        for _ in channel.messages():
            pass
        sys.stderr.write(f"sent {sent > 0}\n")


if __name__ == "__main__":
    main(sys.argv[1])
