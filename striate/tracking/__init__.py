"""Other trackers that a run's numbers can go to. The run's own files are always written, and are no part of this."""

from striate.tracking.fanout import LAST_SECONDS, LoggedRunWriter, Loggers
from striate.tracking.protocol import Logger, RunInfo
from striate.tracking.registry import LOGGERS, check_installed, check_names

__all__ = [
    "LAST_SECONDS",
    "LOGGERS",
    "LoggedRunWriter",
    "Logger",
    "Loggers",
    "RunInfo",
    "check_installed",
    "check_names",
]
