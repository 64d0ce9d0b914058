"""Striate: a laboratory for convolutional image classifiers.

    import striate
    study = striate.load("quickstart")
    results = study.run()
    results.verdicts

The names below are the public ones. They are imported when first used, so that `import striate` is instant.
"""

import importlib
from typing import TYPE_CHECKING, Any

from striate.core import __version__

_MODULES = {
    "Classifier": "striate.deploy",
    "LoadedStudy": "striate.studies.loaded",
    "Results": "striate.studies.results",
    "Prediction": "striate.deploy",
    "Run": "striate.runs.reader",
    "StriateError": "striate.core.errors",
    "Verdict": "striate.verdicts",
    "load": "striate.studies.loaded",
    "open": "striate.deploy",
}

__all__ = [
    "Classifier",
    "LoadedStudy",
    "Prediction",
    "Results",
    "Run",
    "StriateError",
    "Verdict",
    "__version__",
    "load",
    "open",
]

if TYPE_CHECKING:
    from striate.core.errors import StriateError
    from striate.deploy import Classifier, Prediction, open  # noqa: A004
    from striate.runs.reader import Run
    from striate.studies.loaded import LoadedStudy, load
    from striate.studies.results import Results
    from striate.verdicts import Verdict
else:  # hidden from type checkers, who would accept any name

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return getattr(importlib.import_module(_MODULES[name]), name)
        raise AttributeError(f"module 'striate' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
