"""What decides a run, and nothing else does: data, network, recipe, seed."""

from pydantic import Field

from striate.core.records import Record, Whole, fingerprint
from striate.data import DataConfig
from striate.nets import NetworkConfig
from striate.recipes import Recipe


class Job(Record):
    """One run to be: the same job gives the same run, wherever the images lie and whatever trains it.

    `digest` names the images and labels by their content, so it stands for the path that `data` leaves out.
    """

    data: DataConfig
    digest: str
    network: NetworkConfig
    recipe: Recipe
    seed: Whole = Field(ge=0)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self)
