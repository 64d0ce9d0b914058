"""The study file as a record: one question, what is varied, what is compared.

Everything an arm changes is written as in the file's own base: `network.norm: batch`. `read_study` gives each
arm as a whole (data, network, recipe), checked as if it stood alone, with errors at the arm's own line.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from striate.core import config
from striate.core.config import Document, suggest
from striate.core.errors import ConfigError
from striate.core.records import Flag, Number, Record, Whole, location_field
from striate.data import DataConfig
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import layout
from striate.runs.layout import slug
from striate.tracking import check_names

# What an arm may change.
VARIED = ("data", "network", "recipe")


class Claim(Record):
    """What someone says; the report puts the measurement beside it. `values`: arm to accuracy in percent."""

    says: str
    """The claim, in its own words."""
    source: str = ""
    """Who says so, and where."""
    values: dict[str, Number] = {}
    """An accuracy in percent for each arm; in a file they stand beside `says`, by the name of the arm."""

    @model_validator(mode="before")
    @classmethod
    def _arms_beside(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "values" in value:
            return value
        own = {key: item for key, item in value.items() if key in {"says", "source"}}
        return {**own, "values": {key: item for key, item in value.items() if key not in own}}


class Comparison(Record):
    """`first - second`: is the first better?"""

    first: str
    second: str

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        first, sign, second = value.partition(" - ")
        if not sign:
            raise ValueError(f"a comparison is written 'first - second', with spaces around the minus, got {value!r}")
        return {"first": first.strip(), "second": second.strip()}

    def __str__(self) -> str:
        return f"{self.first} - {self.second}"


class Study(Record):
    """A study file. `seeds` is a number of seeds (0, 1, ...) or a list of them."""

    question: str
    """What you want to know, in your words; the title of the report."""
    name: str = ""
    """The name of the study's folder; the file's own name when left out."""
    data: DataConfig
    """The images."""
    network: NetworkConfig
    """The network, as far as the arms share it."""
    recipe: Recipe = Recipe()
    """How it is trained."""
    seeds: tuple[Whole, ...] = Field((0, 1, 2), min_length=1)
    """How many seeds each arm gets, or a list of them; 3 when left out, the fewest that can be judged."""
    arms: dict[str, dict[str, Any]] = {}
    """The variations: a name, and what it changes (`network.norm: batch`); `{}` is the base itself."""
    grid: dict[str, tuple[Any, ...]] = {}
    """Instead of arms: keys with lists of values, every combination an arm."""
    compare: tuple[Comparison, ...] | None = None
    """The planned comparisons, `first - second`; when left out, each arm against the first (a grid plans none)."""
    matters: Number = Field(0.5, gt=0)
    """The smallest difference of interest, in points of test accuracy."""
    watch_test: Flag = False
    """Look at the test part in every epoch, for its curves; the report says so, and no choice rests on it."""
    watch_train: Flag = False
    """Look at the training images anew after every epoch, without augmentation or dropout."""
    replanned: tuple[str, ...] = ()
    """Written by Striate: what was changed in the plan after runs had finished. The report repeats it."""
    claims: tuple[Claim, ...] = ()
    """What someone says (`says`, `source`, and an accuracy for each arm); the report puts the measurement beside it."""
    log: tuple[str, ...] = location_field(())
    """Other trackers to send each epoch's numbers to: `tensorboard`, `wandb`, `mlflow`, one or a list. They decide nothing."""

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_or_list(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | list | tuple) or value == []:
            raise ValueError(f"must be a number of seeds or a list of them, got {value!r}")
        if isinstance(value, int) and value < 1:
            raise ValueError(f"must be at least 1, got {value}")
        return tuple(range(value)) if isinstance(value, int) else value

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"must be different numbers from 0 up, got {list(seeds)}")
        return seeds

    @field_validator("log", mode="before")
    @classmethod
    def _one_logger_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("log")
    @classmethod
    def _known_loggers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        check_names(names)
        return tuple(dict.fromkeys(names))

    @field_validator("arms", mode="before")
    @classmethod
    def _empty_arm(cls, value: Any) -> Any:
        return (
            {name: {} if changes is None else changes for name, changes in value.items()}
            if isinstance(value, dict)
            else value
        )

    @model_validator(mode="after")
    def _one_way_to_vary(self) -> Self:
        if self.arms and self.grid:
            raise ValueError("give 'arms' (named variations) or 'grid' (factors to cross), not both")
        for key, values in self.grid.items():
            if not values:
                raise ValueError(f"grid.{key}: needs a value or more, got an empty list")
        return self

    @property
    def variations(self) -> dict[str, dict[str, Any]]:
        """Arm name to dotted changes; a study that varies nothing has one arm, `base`."""
        if self.grid:
            return _cross(self.grid)
        return self.arms or {"base": {}}

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The planned ones; where arms are named and nothing is said, each against the first."""
        if self.compare is not None:
            return self.compare
        first, *others = self.variations
        return tuple(Comparison(first=other, second=first) for other in others) if self.arms else ()


class Arm(Record):
    """One variation as a whole."""

    name: str
    changes: dict[str, Any] = {}
    data: DataConfig
    network: NetworkConfig
    recipe: Recipe

    @contextmanager
    def named(self) -> Iterator[None]:
        """Inside, what is wrong with a value says of which arm it is."""
        try:
            yield
        except ValueError as error:
            raise type(error)(f"arm '{self.name}': {error}") from error


def read_study(document: Document, overrides: Sequence[str] = ()) -> tuple[Study, tuple[Arm, ...], Document]:
    """The study, its arms, and the document with the overrides in it.

    Raises:
        ConfigError: for the first thing wrong, with its place.
    """
    changes = dict(config.assignment(text) for text in overrides)
    for dotted, value in changes.items():
        # A comma list or a number of the command line is what the file would hold.
        document = config.override(document, Study, {dotted: value}, "on the command line")
    study = config.build(Study, document)
    if not study.name:
        study = study.replace(name=Path(document.name).stem)
    arms = tuple(_arm(name, varied, study, document) for name, varied in study.variations.items())
    _check(study, arms, document)
    return study, arms, document


def _arm(name: str, changes: Mapping[str, Any], study: Study, document: Document) -> Arm:
    key = "grid" if study.grid else "arms"
    where = document.place((key,)) if study.grid else document.place((key, name))
    if not re.search(r"\w", name) or " - " in name:
        raise ConfigError(f"{where}: an arm's name needs a letter or digit and no ' - ' in it, got {name!r}")
    varied = document
    for dotted, value in changes.items():
        place = document.place((key, dotted)) if study.grid else document.place((key, name, dotted))
        if dotted.split(".")[0] not in VARIED:
            raise ConfigError(
                f"{place}: arm '{name}': {dotted}: an arm changes data, network or recipe; {suggest(dotted.split('.')[0], VARIED)}"
            )
        varied = config.override(varied, Study, {dotted: value}, f"{place}: arm '{name}'")
    whole = config.build(Study, varied)
    return Arm(name=name, changes=dict(changes), data=whole.data, network=whole.network, recipe=whole.recipe)


def _check(study: Study, arms: tuple[Arm, ...], document: Document) -> None:
    """What only the arms together can be wrong about."""
    place = document.place(("grid",) if study.grid else ("arms",))
    for one, other in itertools.combinations(arms, 2):
        if (one.data, one.network, one.recipe) == (other.data, other.network, other.recipe):
            raise ConfigError(
                f"{place}: the arms '{one.name}' and '{other.name}' are alike; change something in one, or remove it"
            )
        # Some file systems do not tell upper from lower case.
        if slug(one.name).casefold() == slug(other.name).casefold():
            raise ConfigError(
                f"{place}: the arms '{one.name}' and '{other.name}' would share the folder '{slug(one.name)}'; rename one"
            )
    names = [arm.name for arm in arms]
    for name in names:
        if slug(name).casefold() in {layout.STUDY, layout.REPORT}:
            raise ConfigError(f"{place}: an arm cannot be called '{name}': a file of the study has that name")
    for index, comparison in enumerate(study.compare or ()):
        where = f"{document.place(('compare', index))}: compare"
        for name in (comparison.first, comparison.second):
            if name not in names:
                raise ConfigError(f"{where}: '{comparison}' names an unknown arm '{name}'; {suggest(name, names)}")
        if {comparison.first, comparison.second} in [{c.first, c.second} for c in (study.compare or ())[:index]]:
            raise ConfigError(f"{where}: '{comparison}' is planned twice; keep one of them")
        if comparison.first == comparison.second:
            raise ConfigError(f"{where}: '{comparison}' compares an arm with itself")
    for index, claim in enumerate(study.claims):
        for name in claim.values:
            if name not in names:
                raise ConfigError(
                    f"{document.place(('claims', index))}: claims: unknown arm '{name}'; {suggest(name, [*names, 'says', 'source'])}"
                )


def _cross(grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Every combination, named by the last word of each factor: `norm=batch lr=0.1`."""
    arms: dict[str, dict[str, Any]] = {}
    for values in itertools.product(*grid.values()):
        changes = dict(zip(grid, values, strict=True))
        name = " ".join(f"{key.rpartition('.')[2]}={_short(value)}" for key, value in changes.items())
        if name in arms:
            raise ConfigError(f"grid: '{name}' comes out twice; give each value once")
        arms[name] = changes
    return arms


def _short(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{key}={_short(item)}" for key, item in value.items() if key != "name")
        return f"{value['name']}({inside})" if "name" in value else inside
    return str(value)
