"""What decides a run, and nothing else does: data, network, recipe, seed.

How a run ended, as a record: the finished marker and the results.
"""

from typing import Any, Literal

from pydantic import Field

from striate.core.records import Flag, Record, Whole, fingerprint
from striate.data import DataConfig
from striate.nets import NetworkConfig
from striate.recipes import Recipe


class Job(Record):
    """One run to be: the same job gives the same run, wherever the images lie and whatever trains it.

    `digest` names the images and labels by their content, so it stands for the path that `data` leaves out, and
    `weights` does so for a file of weights that the network starts from.
    `watch_test` and `watch_train` decide no weights, but what is measured in each epoch.
    """

    data: DataConfig
    digest: str
    network: NetworkConfig
    weights: str = ""
    recipe: Recipe
    seed: Whole = Field(ge=0)
    watch_test: Flag = False
    watch_train: Flag = False

    @property
    def fingerprint(self) -> str:
        return fingerprint(self)


State = Literal["finished", "diverged", "failed"]


class Summary(Record):
    """How a run ended. Accuracies are shares (0.87), seconds are those spent training and evaluating."""

    state: State
    reason: str = ""  # why it failed or diverged, or why it may have stayed at chance
    stopped: str = ""  # what ended the training: all epochs done, or what the recipe's `stop` says
    epochs: int
    best_epoch: int | None = None
    seconds: float
    parameters: int
    classes: int
    validation_accuracy: float | None = None
    validation_loss: float | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    test_images: int = 0
    test_opened_because: str = ""
    test_watched: bool = False  # the test part was looked at in every epoch
    at_chance: bool = False
    validation: dict[str, Any] = {}  # accuracy per class, confusion, top-5, calibration error
    test: dict[str, Any] = {}
    data: dict[str, Any] = {}  # name, classes, images in each split, notes: what the report says of the data
