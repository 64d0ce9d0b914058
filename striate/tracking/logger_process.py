"""One logger, held at arm's length: in a process of its own, behind a bounded queue, under a clock.

Whatever it does there (raise, hang, die, print, take all its memory) the run neither stops nor waits for it: the
caller only puts messages into a queue. A logger that fails, that answers nothing for PATIENCE_SECONDS or that
falls QUEUE messages behind is given up: its process is killed and the reason is kept in `fault`.
"""

import contextlib
import json
import os
import queue
import signal
import tempfile
import threading
import time
from typing import Any

from striate.core import processes as children
from striate.core.errors import StriateError
from striate.runs import layout
from striate.runs.files import write_json
from striate.runs.records import EpochRow, Summary
from striate.tracking.protocol import RunInfo

# A first contact with a server can take a while; a row an epoch never does.
PATIENCE_SECONDS = 60.0
QUEUE = 1000


class LoggerProcess:
    """`place` is MODULE:CLASS of the logger. Nothing here raises on the logger's account."""

    def __init__(self, name: str, place: str, info: RunInfo) -> None:
        self.name = name
        self.fault = ""
        self._about = info
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(QUEUE)
        self._ended = threading.Event()
        self._asked_at: float | None = None  # when the call that is not answered yet was made
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._process = children.start("striate.tracking.child", place, errors=self._errors)
        self._put({"start": {**vars(info)}})
        self._carrier = threading.Thread(target=self._carry, daemon=True)
        self._carrier.start()

    def row(self, row: EpochRow) -> None:
        """Hand over an epoch's numbers; those that the logger took before the run was taken up again are left out."""
        if row.epoch > self._about.logged:
            self._put({"row": row.to_json()})
        asked_at = self._asked_at
        if asked_at is not None and time.monotonic() - asked_at > PATIENCE_SECONDS:
            self._give_up(f"did not answer for {PATIENCE_SECONDS:.0f} seconds")

    def finish(self, summary: Summary | None) -> None:
        self._put({"finish": summary and summary.model_dump(mode="json")})

    def close(self, seconds: float) -> None:
        """Wait at most so long for what is under way, then end the process."""
        if not self._ended.wait(seconds):
            self._give_up("did not end in time after the run")
        self._kill()
        self._process.wait()
        self._carrier.join()  # nobody is left who could keep it waiting
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):  # what it did not read any more
                stream.close()  # type: ignore[union-attr]

    def _put(self, message: dict[str, Any]) -> None:
        if self.fault:
            return
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._give_up(f"fell {QUEUE} messages behind")

    def _give_up(self, reason: str) -> None:
        if not self.fault:
            self.fault = reason
            self._kill()  # which frees the thread that waits for an answer

    def _kill(self) -> None:
        """End the process, and what it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone
            os.killpg(self._process.pid, signal.SIGKILL)

    def _carry(self) -> None:
        """The thread: one message after another to the process, each answered before the next."""
        token = self._about.token
        try:
            while not self.fault:
                ((verb, content),) = (message := self._waiting.get()).items()
                answer = self._ask(message)
                if "error" in answer:
                    self.fault = self.fault or answer["error"]
                elif verb == "finish":
                    return
                else:
                    token = answer["returned"] or token
                    self._note_in_ledger(token, content["epoch"] if verb == "row" else self._about.logged)
        except (OSError, ValueError, StriateError) as error:
            self.fault = self.fault or f"{type(error).__name__}: {error}"
        finally:
            self._ended.set()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked_at = time.monotonic()
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = self._process.stdout.readline()  # its last words
        self._asked_at = None
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"its process ended{self._last_words()}"}
        return answer

    def _note_in_ledger(self, token: str, epoch: int) -> None:
        path = self._about.folder_path / layout.ledger(self.name)
        write_json(path, {"token": token, "epoch": epoch})

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f" ({lines[-1].strip()})" if lines else ""
