"""Other trackers that a run's numbers can go to. The run's own files are always written, and are no part of this."""

from striate.runs.loggers.fanout import LAST_SECONDS, Loggers
from striate.runs.loggers.known import LOGGERS, check_installed, check_names
from striate.runs.loggers.protocol import About, Logger

__all__ = ["LAST_SECONDS", "LOGGERS", "About", "Logger", "Loggers", "check_installed", "check_names"]
