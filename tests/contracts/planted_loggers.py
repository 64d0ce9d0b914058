"""Loggers with a planted fault, each in one of its three calls. Their processes import this module, so it is light."""

import os
import sys
import time
from pathlib import Path


class Quiet:
    """Works: writes each call into a file of the run's folder."""

    package = "json"

    def start(self, info):
        self._path = Path(info.folder) / "quiet.txt"
        self._say(f"start {info.name} after {info.logged}")
        return info.token or "first"

    def row(self, row):
        self._say(f"row {row.epoch}")

    def finish(self, summary):
        self._say(f"finish {summary and summary.state}")

    def _say(self, line):
        with self._path.open("a") as file:
            file.write(line + "\n")


class Chatty(Quiet):
    """Works, and prints more than any pipe holds."""

    def row(self, row):
        sys.stdout.write("x" * 200_000)
        sys.stderr.write("y" * 200_000)
        super().row(row)


class RaisesInStart(Quiet):
    def start(self, info):
        raise OSError("no server there")


class RaisesInRow(Quiet):
    def row(self, row):
        raise ValueError("no such metric\nsecond line")


class RaisesInFinish(Quiet):
    def finish(self, summary):
        raise KeyError("state")


class Exits(Quiet):
    def row(self, row):
        os.write(2, b"out of memory, or the like\n")
        os._exit(3)


class RaisesAnEscapeSequence(Quiet):
    def row(self, row):
        raise ValueError("\x1b[2J")


class ClosesItsInput(Quiet):
    def row(self, row):
        os.closerange(3, 100)  # the pipes, wherever they are
        time.sleep(1_000_000)


class SleepsInStart(Quiet):
    def start(self, info):
        time.sleep(1_000_000)


class SleepsInRow(Quiet):
    def row(self, row):
        time.sleep(1_000_000)


class SleepsInFinish(Quiet):
    def finish(self, summary):
        time.sleep(1_000_000)


WORKING = (Quiet, Chatty)
# The fault that its user reads of each.
FAULTY = {
    RaisesInStart: "OSError: no server there",
    RaisesInRow: "ValueError: no such metric",
    RaisesInFinish: "KeyError: 'state'",
    Exits: "its process ended (out of memory, or the like)",
    SleepsInStart: "did not end in time after the run",
    SleepsInRow: "did not end in time after the run",
    SleepsInFinish: "did not end in time after the run",
}
