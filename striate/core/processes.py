"""Child processes that exchange JSON lines with this one, and the number of processors that they can share.

`Child` is the parent's end of such a pair, `Channel` the child's. A pipe breaks when either side dies; neither end
raises for that, and neither waits without limit.
"""

import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

Message = dict[str, Any]

# How long a process that was killed, or the threads that serve its pipes, may take to end.
KILLED_SECONDS = 5.0
# How much of a child's stderr is read for its last line.
LAST_BYTES = 10_000


class Child:
    """`python -m module arguments` as a child process; it can import whatever this process can.

    `hear` is called with each message of the child, and with None after the last one, in a thread of its own. The
    child has a session of its own: Ctrl-C in the terminal does not reach it, and what it starts is killed with it. What
    it prints to stderr is kept for `last_words`.
    """

    def __init__(self, module: str, *arguments: str, hear: Callable[[Message | None], None]) -> None:
        self._hear = hear
        self._outgoing: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in end()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            )
        except BaseException:
            self._stderr.close()
            raise
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def send(self, message: Message) -> None:
        """Queue a message; returns at once, whether or not the child reads."""
        self._outgoing.put(json.dumps(message) + "\n")

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """End the child and what it started, at once."""
        if self._process.returncode is None:  # afterwards the number may be another process's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self, seconds: float) -> None:
        """Close the child's input after what was sent, and wait for its end. Kills it after `seconds` or at an interrupt."""
        self._outgoing.put(None)
        try:
            self._process.wait(seconds)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._kill_and_wait()
        for thread in self._threads:
            # Not for ever: a descendant in another session may still hold a pipe. Each thread closes its own.
            thread.join(KILLED_SECONDS)
        self._stderr.close()

    def exit_code(self) -> int:
        """The code, or minus the signal. For a child whose last message was heard; one that still lives is killed."""
        try:
            return self._process.wait(KILLED_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill_and_wait()
            code = self._process.poll()
            return -signal.SIGKILL if code is None else code

    def how_it_ended(self) -> str:
        """The end in words, such as "ended with code 3 (ImportError: no torch)"."""
        code, words = self.exit_code(), self.last_words()
        way = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        return f"ended {way} ({words})" if words else f"ended {way}"

    def last_words(self) -> str:
        """The last line on the child's stderr; empty if there is none. Call it before `end`."""
        # Not seek and read: the child writes at the same file position.
        start = max(0, os.fstat(self._stderr.fileno()).st_size - LAST_BYTES)
        text = os.pread(self._stderr.fileno(), LAST_BYTES, start).decode("utf-8", "replace").strip()
        return text.splitlines()[-1].strip() if text else ""

    def _kill_and_wait(self) -> None:
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED_SECONDS)

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            while (line := self._outgoing.get()) is not None:
                pipe.write(line)
                pipe.flush()
        except OSError:
            pass  # it is gone; the reader notices
        finally:
            with contextlib.suppress(OSError):
                pipe.close()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        try:
            with pipe:
                for line in pipe:
                    message = _parse(line)
                    if message is None:  # cut short by a kill
                        self.kill()
                        break
                    self._hear(message)
        finally:
            self._hear(None)


class Channel:
    """The child's end: messages from and to the process that started it.

    It takes the pipes over: what a library prints to stdout goes to stderr, and what the child itself starts inherits
    no end of the pipes.
    """

    def __init__(self) -> None:
        self._input = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
        self._output = os.fdopen(os.dup(1), "w", encoding="utf-8")
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def messages(self) -> Iterator[Message]:
        """Those of the parent, until it closes the pipe or dies, be it in the middle of a line."""
        for line in self._input:
            message = _parse(line)
            if message is None:
                return
            yield message

    def send(self, message: Message) -> bool:
        """Whether it could be sent: not when the parent is gone."""
        try:
            self._output.write(json.dumps(message) + "\n")
            self._output.flush()
        except BrokenPipeError:
            # What is left in the buffer would fail again at each call and at exit.
            os.dup2(0, self._output.fileno())
            return False
        return True


def _parse(line: str) -> Message | None:
    """A whole line with an object; None for anything else."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if line.endswith("\n") and isinstance(message, dict) else None


def cpu_count(root: Path = Path("/")) -> int:
    """The processors that this process may use, at least 1: those of its affinity, limited by the quota of its cgroup.

    A quota that is no whole number of processors is rounded up. `root` is for tests.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *map(math.ceil, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The limits of this process's control groups and those around them (cgroup v1 and v2), in processors."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the path may be the host's; the container's own limits are then at the mount itself.
        group = PurePosixPath(path.lstrip("/"))
        for mount in (mounts, mounts / "unified") if not controllers else (mounts / controllers, mounts / "cpu"):
            for folder in (group, *group.parents):
                if (quota := _quota(mount / folder)) is not None:
                    yield quota


def _quota(folder: Path) -> float | None:
    """The quota over the period, from cpu.max (v2) or cpu.cfs_quota_us and cpu.cfs_period_us (v1)."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError):
            words = " ".join((folder / name).read_text(encoding="utf-8") for name in names).split()
            quota, period = (math.inf if word == "max" else float(word) for word in words)
            if 0 < quota < math.inf and period > 0:
                return quota / period
    return None
