"""What decides a run, and nothing else does: data, network, recipe, seed."""

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
