"""Other trackers that a run's numbers can go to, beside the run's own files."""

from striate.tracking.loggers import LOGGERS, Loggers, check_installed, check_names
from striate.tracking.protocol import Logger, RunInfo

__all__ = ["LOGGERS", "Logger", "Loggers", "RunInfo", "check_installed", "check_names"]
