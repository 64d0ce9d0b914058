"""One logger in a separate process, with a bounded queue and a timeout.

Whatever the logger does there (raise, hang, die, print, use all memory), the run neither stops nor waits for it: the
caller only queues messages. A logger that fails, that answers nothing for PATIENCE_SECONDS or that falls QUEUE messages
behind is given up: its process is killed, and `fault` holds the reason.
"""

import threading
import time
from collections import deque
from typing import Any

from striate.core.errors import StriateError
from striate.core.processes import Child, Message
from striate.runs import layout
from striate.runs.files import write_json
from striate.runs.records import EpochRow, Summary
from striate.tracking.protocol import RunInfo

# A first contact with a server can take a while; a row an epoch never does.
PATIENCE_SECONDS = 60.0
QUEUE = 1000


class LoggerProcess:
    """`class_path` is MODULE:CLASS of the logger. No method raises because of the logger.

    Raises:
        OSError: when no process can be started.
    """

    def __init__(self, name: str, class_path: str, info: RunInfo) -> None:
        self.name = name
        self.fault = ""
        self._info = info
        self._token = info.token
        self._unanswered: deque[tuple[str, int]] = deque()  # calls, each with the last epoch that it logs
        self._waiting_since = 0.0  # since when the first of them is being answered
        self._has_ended = threading.Event()  # finished or failed
        self._lock = threading.Lock()  # of the fields above, which the thread that hears the answers changes
        with self._lock:
            self._child = Child("striate.tracking.child", class_path, hear=self._hear)
        self._call("start", {**vars(info)}, info.logged)

    def row(self, row: EpochRow) -> None:
        """Queue an epoch's numbers, unless they were logged before the run was resumed."""
        if row.epoch > self._info.logged:
            self._call("row", row.to_json(), row.epoch)
        with self._lock:
            waited = time.monotonic() - self._waiting_since if self._unanswered else 0.0
        if waited > PATIENCE_SECONDS:
            self.give_up(f"did not answer for {PATIENCE_SECONDS:.0f} seconds")

    def finish(self, summary: Summary | None) -> None:
        """Queue the end of the run; None for one that may be resumed."""
        self._call("finish", summary and summary.model_dump(mode="json"), 0)

    def close(self, seconds: float) -> None:
        """Wait at most `seconds` for the answers, then end the process."""
        if not self._has_ended.wait(seconds):
            self.give_up("did not end in time after the run")
        self._child.kill()  # also what it has started
        self._child.end(0)

    def give_up(self, reason: str) -> None:
        """Kill the process and keep the reason, unless there is an earlier one."""
        self._fail(reason)
        self._child.kill()

    def _call(self, name: str, content: Any, epoch: int) -> None:
        with self._lock:
            if self.fault:
                return
            if not self._unanswered:
                self._waiting_since = time.monotonic()
            self._unanswered.append((name, epoch))
            is_behind = len(self._unanswered) > QUEUE
        if is_behind:
            self.give_up(f"fell {QUEUE} messages behind")
        else:
            self._child.send({name: content})

    def _hear(self, message: Message | None) -> None:
        """An answer, or None after the last; called in the child's own thread."""
        with self._lock:
            if self._has_ended.is_set():
                return
            last_words = self._child.last_words() if message is None else ""
            call, epoch = self._unanswered.popleft() if self._unanswered else ("", 0)
            self._waiting_since = time.monotonic()
        if message is None:
            self._fail(f"its process ended ({last_words})" if last_words else "its process ended")
        elif "error" in message:
            self._fail(message["error"])
        elif call == "finish":
            self._has_ended.set()
        else:
            self._token = message["returned"] or self._token
            self._note_in_ledger(epoch)

    def _fail(self, reason: str) -> None:
        with self._lock:
            if not self._has_ended.is_set():
                self.fault = reason
                self._has_ended.set()

    def _note_in_ledger(self, epoch: int) -> None:
        path = self._info.folder_path / layout.ledger(self.name)
        try:
            write_json(path, {"token": self._token, "epoch": epoch})
        except (OSError, StriateError) as error:
            self._fail(f"{type(error).__name__}: {error}")
