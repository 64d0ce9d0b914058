"""Everything Striate raises on purpose, in one tree.

    StriateError                one clear sentence: place, rule, value, cure
    |-- ConfigError             a study file or an override (also a ValueError)
    |-- MissingExtra            an optional package (also an ImportError)
    |-- DataError               images, labels, splits (also a ValueError)
    |-- NetworkError            the notation, shapes that do not fit (also a ValueError)
    |-- RecipeError             optimizer, schedule, precision (also a ValueError)
    |-- RunError                run folders: format, locks, disk
    |-- TrainingError           what stops a training that began
    |-- StudyError              a study as a whole: other study's folder, nothing finished
    `-- ReportError             a page that cannot be made

The command line turns a StriateError into one line on stderr and exit code 1.
Anything else is our mistake and keeps its traceback.
"""


class StriateError(Exception):
    """Base of every error that is the user's to mend."""


class ConfigError(StriateError, ValueError):
    """A study file or an override that does not say what it must."""


class MissingExtra(StriateError, ImportError):
    """An optional package is needed and absent."""


class DataError(StriateError, ValueError):
    """Images or labels that are missing, broken or too few."""


class NetworkError(StriateError, ValueError):
    """A network that cannot be read or does not fit its input."""


class RecipeError(StriateError, ValueError):
    """A recipe that asks for what does not exist."""


class RunError(StriateError):
    """A run folder that cannot be read, written or locked."""


class TrainingError(StriateError):
    """A training that cannot go on."""


class StudyError(StriateError):
    """A study that cannot be planned, run or judged."""


class ReportError(StriateError):
    """A report that cannot be built."""
