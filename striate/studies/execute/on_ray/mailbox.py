"""Where the runs of a cluster leave messages for the study: an actor on the cluster's head node, which lives as long as the runs."""

import asyncio
import contextlib

from striate.studies.execute.on_ray.files import Files


class Mailbox:
    """Messages by attempt, in order. Of the progress of a run, and of each of its files, only the newest is kept."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, str]] = []
        self._progress: dict[str, str] = {}
        self._files: dict[str, Files] = {}
        self._filled = asyncio.Event()
        self._is_stopping = False

    async def begin(self, attempt: str, message: str) -> bool:
        """Leave the first message of an attempt; False: the study is stopping, so the attempt must not begin."""
        if not self._is_stopping:
            await self.post(attempt, message)
        return not self._is_stopping

    async def post(self, attempt: str, message: str) -> None:
        self._messages.append((attempt, message))
        self._filled.set()

    async def post_progress(self, attempt: str, message: str) -> None:
        self._progress[attempt] = message
        self._filled.set()

    async def post_files(self, attempt: str, files: Files) -> None:
        self._files.setdefault(attempt, {}).update(files)
        self._filled.set()

    async def take(self, seconds: float) -> tuple[list[tuple[str, str]], list[str]]:
        """The messages since the last call, and the attempts that left files; waits up to `seconds` for the first."""
        if seconds > 0 and not self._filled.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._filled.wait(), seconds)
        messages = [*self._messages, *self._progress.items()]
        self._messages, self._progress = [], {}
        self._filled.clear()
        return messages, list(self._files)

    async def take_files(self, attempt: str) -> Files:
        return self._files.pop(attempt, {})

    async def stop(self) -> None:
        """Ask all attempts to save and end. None begins afterwards."""
        self._is_stopping = True

    async def is_stopping(self) -> bool:
        return self._is_stopping
