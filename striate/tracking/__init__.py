"""Other trackers that a run's numbers can go to. The run's own files are always written, and are no part of this."""

from striate.tracking.fanout import LAST_SECONDS, LoggedRunWriter, Loggers
from striate.tracking.protocol import About, Logger
from striate.tracking.registry import LOGGERS, check_installed, check_names

__all__ = ["LAST_SECONDS", "LOGGERS", "About", "LoggedRunWriter", "Logger", "Loggers", "check_installed", "check_names"]
