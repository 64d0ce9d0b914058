"""Every logger by its name in a study file, and the check that its package is there."""

from collections.abc import Iterable

from striate.core.config import suggest
from striate.core.errors import ConfigError
from striate.core.optional import look_for
from striate.tracking.mlflow import Mlflow
from striate.tracking.protocol import Logger
from striate.tracking.tensorboard import TensorBoard
from striate.tracking.wandb import WeightsAndBiases

# The name is also that of the extra that brings the package.
LOGGERS: dict[str, type[Logger]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": Mlflow}


def check_names(names: Iterable[str]) -> None:
    """Raises ConfigError for a name that is no logger's."""
    for name in names:
        if name not in LOGGERS:
            raise ConfigError(f"no logger is called '{name}'; {suggest(name, LOGGERS)}")


def check_installed(names: Iterable[str]) -> None:
    """Raises MissingExtra for a logger whose package is absent: before anything is trained, not after the first epoch."""
    for name in names:
        look_for(LOGGERS[name].package, extra=name, why=f"'log: {name}'")
