"""TensorBoard: event files in the run's folder, so that `tensorboard --logdir runs` shows every run by study, arm and seed.

The event files are written by the `tensorboard` package itself: neither torch nor TensorFlow is needed.
"""

import time
from typing import Any, ClassVar

from striate.core.optional import require
from striate.runs import layout
from striate.runs.records import EpochRow, Summary
from striate.tracking.protocol import RunInfo, flat, numbers


class TensorBoard:
    """Scalars by epoch, and the settings and results for the HParams tab."""

    package: ClassVar[str] = "tensorboard"

    def start(self, info: RunInfo) -> str:
        require("tensorboard", extra="tensorboard", why="Logging to TensorBoard")
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(info.folder_path / layout.TENSORBOARD))
        self._epoch = info.logged
        if info.token:
            # Readers drop what an earlier file holds from this step on, so nothing is drawn twice.
            self._add(info.logged + 1, session_log=SessionLog(status=SessionLog.START))
        else:
            settings = {
                key: value if isinstance(value, bool | int | float) else str(value)
                for key, value in flat(info.config).items()
                if value is not None
            }
            self._add(
                0, summary=hparams_pb({**settings, "arm": info.arm, "seed": info.seed}, trial_id=info.fingerprint)
            )
        self._writer.flush()
        return info.fingerprint

    def row(self, row: EpochRow) -> None:
        self._epoch = row.epoch
        self._scalars(numbers(row))
        self._writer.flush()

    def finish(self, summary: Summary | None) -> None:
        if summary is not None:
            self._scalars({f"result/{key}": value for key, value in numbers(summary).items()})
        self._writer.close()

    def _scalars(self, values: dict[str, float]) -> None:
        from tensorboard.compat.proto import summary_pb2

        scalars = [summary_pb2.Summary.Value(tag=key, simple_value=value) for key, value in values.items()]
        self._add(self._epoch, summary=summary_pb2.Summary(value=scalars))

    def _add(self, step: int, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))
