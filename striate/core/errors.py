"""The errors that Striate raises on purpose, as one tree.

    StriateError          one clear sentence: place, rule, value, cure
    |-- ConfigError       a study file or an override (also a ValueError)
    |-- Missing           something that is not on this machine
    |   `-- MissingExtra  an optional package that is absent (also an ImportError)
    |-- DataError         images, labels, splits (also a ValueError)
    |   `-- MissingData   images that are not on this machine (also Missing)
    |-- NetworkError      the notation, shapes that do not fit (also a ValueError)
    |   `-- MissingWeights  a file of weights that cannot be downloaded (also Missing)
    |-- RecipeError       optimizer, schedule, precision (also a ValueError)
    |-- RunError          run folders: format, locks, disk
    |-- TrainingError     what stops a training that has begun
    |   `-- MissingDevice a GPU that is not on this machine (also Missing)
    |-- DivergedError     a loss, an output or a weight that is not finite (engines.protocol)
    |-- GradientError     a derivative that differs from its finite difference (engines.scratch.gradient_check)
    |-- Unavailable       a way to time a network that this machine has not (deploy.bench)
    |-- TableError        numbers from elsewhere that cannot be judged (also a ValueError)
    |-- StudyError        a study as a whole: another study's folder, nothing finished
    `-- ReportError       a page that cannot be made

The command line turns a StriateError into one line on stderr and exit code 1. Any other exception is a defect of
Striate and keeps its traceback.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class StriateError(Exception):
    """Base of every error that the user can mend."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConfigError(StriateError, ValueError):
    """A study file or an override that cannot be read."""


class Missing(StriateError):
    """What is not on this machine, and would work elsewhere: a package, a GPU, images, weights."""


class MissingExtra(Missing, ImportError):
    """An optional package is needed and absent."""


class DataError(StriateError, ValueError):
    """Images or labels that are missing, broken or too few."""


class MissingData(Missing, DataError):
    """Images are needed that are neither here nor can be downloaded."""


class NetworkError(StriateError, ValueError):
    """A network that cannot be read or does not fit its input."""


class MissingWeights(Missing, NetworkError):
    """Weights are needed that are neither here nor can be downloaded."""


class RecipeError(StriateError, ValueError):
    """A recipe that asks for what does not exist."""


class RunError(StriateError):
    """A run folder that cannot be read, written or locked."""


class TrainingError(StriateError):
    """A training that cannot continue."""


class StudyError(StriateError):
    """A study that cannot be planned, run or evaluated."""


class MissingDevice(Missing, TrainingError):
    """A GPU is needed and there is none."""


class TableError(StriateError, ValueError):
    """Numbers from elsewhere that cannot be read or judged."""


class ReportError(StriateError):
    """A report that cannot be made."""


@contextmanager
def error_context(context: str) -> Iterator[None]:
    """Put `context` and a colon before the text of a StriateError that is raised inside. Other exceptions pass as they are."""
    try:
        yield
    except StriateError as error:
        error.args = (f"{context}: {error}",)
        raise
