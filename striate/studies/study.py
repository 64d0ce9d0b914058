"""A study file as records: one question, what is varied, and what is compared.

An arm changes keys of the study's base (`network.norm: batch`). `read_study` returns each arm complete (data, network,
recipe), checked as if it stood alone. An error names the line of the arm.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from striate.core import config
from striate.core.config import Document, suggest
from striate.core.errors import ConfigError, error_context
from striate.core.records import Flag, Number, Record, Whole, check_name, fingerprint, location_field, printable
from striate.data import DataConfig
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import layout
from striate.runs.layout import slug
from striate.studies.arm_names import name_arms
from striate.studies.claims import Claim, Comparison, check_text
from striate.studies.design import Look, StudyDesign, today
from striate.studies.metrics import TEST_ACCURACY, run_metric
from striate.studies.relations import check_arms, read_relation
from striate.studies.search_space import FIRST_SEED, Found, Search
from striate.studies.seed_plan import check_looks, check_seeds, seeds_of, with_looks
from striate.studies.sizes import PARTS, apply_size, check_sizes, note_overrides
from striate.tracking import check_names

# How a study may name its arms.
KINDS = ("arms", "grid", "scale")

MOST_ARMS = 1000


class Study(Record):
    """A study file. `seeds` is a number of seeds (0, 1, ...) or a list of them."""

    question: str
    """What you want to know, in your words; the title of the report."""
    name: str = ""
    """The name of the study's folder; the file's own name when left out."""
    source: str = ""
    """Where the question comes from: a report, a paper."""
    row: str = ""
    """Its place in a table of questions, such as `C5`."""
    data: DataConfig
    """The images."""
    network: NetworkConfig
    """The network, as far as the arms share it."""
    recipe: Recipe = Recipe()
    """How it is trained."""
    seeds: tuple[Whole, ...] = Field((0, 1, 2), min_length=1)
    """How many seeds each arm gets (at most 1,000), or a list of them; 3 when left out, the fewest that give a verdict. Or
    `{looks: [3, 5, 8]}`: the results are looked at after so many seeds, and undecided arms go on to the next look."""
    looks: tuple[Whole, ...] = ()
    """The looks, as `seeds` has them; written there."""
    arms: dict[str, dict[str, Any]] = {}
    """The variations: a name, and what it changes (`network.norm: batch`); `{}` is the base itself."""
    optional: tuple[str, ...] = ()
    """Arms that are left out, with the reason, on a machine that lacks their engine or a GPU for it."""
    left_out: dict[str, str] = {}
    """Written by Striate: the optional arms that were left out, and why."""
    grid: dict[str, tuple[Any, ...]] = {}
    """Instead of arms: keys with lists of values; every combination is an arm (at most 1,000)."""
    scale: dict[str, tuple[Any, ...]] = {}
    """Instead of arms: a key with a list of values from small to large, each an arm; several keys change together."""
    search: Search | None = None
    """Instead of arms: settings are tried and chosen on validation; the two best are the arms, run on fresh seeds."""
    found: Found | None = None
    """Written by Striate: what the search found."""
    compare: tuple[Comparison, ...] | None = None
    """The planned comparisons, `first - second`; when left out, each arm against the first (a grid and a scale plan none)."""
    metric: str = TEST_ACCURACY
    """What is compared: `test accuracy`, `balanced accuracy`, `test loss`, `training time`, `epochs to 90 %` and more."""
    matters: Number = Field(0.5, gt=0, le=100)
    """The smallest difference of interest: points of accuracy, units of a loss, percent of a time or a speed."""
    watch_test: Flag = False
    """Evaluate the test part after every epoch, for its curves. The report says so; no choice depends on it."""
    watch_train: Flag = False
    """Evaluate the training images after every epoch, without augmentation or dropout."""
    sizes: dict[str, dict[str, Any]] = {}
    """Sizes of the study, and the keys that each replaces (`small: {data.limit: 2000, seeds: 3}`); `--size small` chooses one."""
    size: str = ""
    """Written by Striate: the size that was chosen."""
    replanned: tuple[str, ...] = ()
    """Written by Striate: what was changed in the plan after runs had finished. The report repeats it."""
    design: StudyDesign | None = None
    """Written by Striate: what was planned when the first run ended, with its hash. Verdicts are as strict as it says."""
    looks_taken: tuple[Look, ...] = ()
    """Written by Striate: each look at the results, with its day."""
    claims: tuple[Claim, ...] = ()
    """What others state (`says`, `source`, an accuracy for each arm, a `relation`): each holds, does not hold, or is undecided."""
    overridden: dict[str, Any] = {}
    """Written by Striate: settings that a size or the command line changed. The accuracies that claims state are not for these."""
    log: tuple[str, ...] = location_field(())
    """Other trackers that get each epoch's numbers: `tensorboard`, `wandb`, `mlflow`, one or a list. They do not affect the runs."""

    @field_validator("question")
    @classmethod
    def _check_question(cls, text: str) -> str:
        if not text.strip():
            raise ValueError(f"must be a question in your words, got {text!r}")
        return check_text(text)

    @field_validator("source", "row", "size")
    @classmethod
    def _check_words(cls, text: str) -> str:
        return check_text(text)

    @field_validator("sizes")
    @classmethod
    def _check_sizes(cls, sizes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return check_sizes(sizes, cls.model_fields)

    @field_validator("name")
    @classmethod
    def _check_study_name(cls, name: str) -> str:
        return check_name(name, "the study's name") if name else name

    @model_validator(mode="before")
    @classmethod
    def _split_looks(cls, value: Any) -> Any:
        return with_looks(value)

    @field_validator("seeds", mode="before")
    @classmethod
    def _read_seeds(cls, value: Any) -> Any:
        return seeds_of(value)

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return check_seeds(seeds)

    @field_validator("metric")
    @classmethod
    def _check_metric(cls, name: str) -> str:
        run_metric(name)
        return name

    @field_validator("log", mode="before")
    @classmethod
    def _name_or_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("log")
    @classmethod
    def _check_loggers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        check_names(names)
        return tuple(dict.fromkeys(names))

    @field_validator("arms", mode="before")
    @classmethod
    def _empty_arms(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {} if changes is None else changes for name, changes in value.items()}

    @model_validator(mode="after")
    def _check_variations(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind)]
        if len(given) > 1:
            raise ValueError(
                "give 'arms' (named variations), 'grid' (factors to cross) or 'scale' (one ordered axis), not both"
            )
        if self.search and given and not (given == ["arms"] and self.found):
            raise ValueError(f"give 'search' or '{given[0]}', not both: the arms of a search are the two best settings")
        if self.search and not self.found and (self.compare or self.claims or self.looks):
            raise ValueError(
                "search: its arms, winner and runner-up, are compared on a number of seeds; take out 'compare', 'claims' and looks"
            )
        if self.search and max(self.seeds) >= FIRST_SEED:
            raise ValueError(f"seeds: those of a study with 'search' are below {FIRST_SEED:,}, where its trials begin")
        for kind, values_of in (("grid", self.grid), ("scale", self.scale)):
            for key, values in values_of.items():
                if not values:
                    raise ValueError(f"{kind}.{key}: needs a value or more, got an empty list")
        lengths = {len(values) for values in self.scale.values()}
        if len(lengths) > 1 or lengths == {1}:
            raise ValueError(f"scale: needs lists of one length, of two values or more, got {sorted(lengths)}")
        count = math.prod(map(len, self.grid.values())) if self.grid else len(self.arms) + max(lengths, default=0)
        if count > MOST_ARMS:
            raise ValueError(f"{(given or ['arms'])[0]}: a study has at most {MOST_ARMS:,} arms, got {count:,}")
        return self

    @model_validator(mode="after")
    def _check_judging(self) -> Self:
        metric = run_metric(self.metric).metric
        if metric.scale != "percent" and "matters" not in self.model_fields_set:
            unit = "percent (5: 1.05 times)" if metric.scale == "ratio" else "its unit"
            raise ValueError(f"matters: must be given with 'metric: {self.metric}', in {unit}")
        if self.looks:
            check_looks(self.looks)
            if self.looks[-1] != len(self.seeds):
                raise ValueError(f"looks: the last must be all {len(self.seeds)} seeds, got {self.looks[-1]}")
            if not self.comparisons:
                raise ValueError(
                    "seeds: looks end when every comparison is decided, and none is planned; add 'compare'"
                )
        return self

    @property
    def kind(self) -> str:
        """What the study varies by: arms, grid or scale."""
        return next((kind for kind in KINDS if getattr(self, kind)), "arms")

    @property
    def is_searching(self) -> bool:
        """Whether its arms are not known yet."""
        return self.search is not None and self.found is None

    @property
    def variations(self) -> dict[str, dict[str, Any]]:
        """The changes of each arm, by dotted key; a study that varies nothing has one arm, `base`."""
        if self.grid:
            return name_arms(self.grid, itertools.product(*self.grid.values()), "grid")
        if self.scale:
            return name_arms(self.scale, zip(*self.scale.values(), strict=True), "scale")
        return self.arms or {"base": {}}

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The planned comparisons. Where `compare` is left out, each arm against the first."""
        if self.compare is not None:
            return self.compare
        first, *others = self.arms or [""]
        return tuple(Comparison(first=other, second=first) for other in others)

    def plan_of(self, arms: Sequence["Arm"]) -> StudyDesign:
        """What this study file plans, as a design that is fixed today."""
        return StudyDesign(
            date=today(),
            question=self.question,
            metric=self.metric,
            matters=self.matters,
            seeds=self.seeds,
            looks=self.looks,
            comparisons=tuple(map(str, self.comparisons)),
            arms={arm.name: fingerprint(arm.data, arm.network, arm.recipe) for arm in arms},
        ).sealed()


class Arm(Record):
    """One variation, complete."""

    name: str
    changes: dict[str, Any] = {}
    data: DataConfig
    network: NetworkConfig
    recipe: Recipe

    def __repr__(self) -> str:
        return f"<Arm '{self.name}': {self.variation}>"

    __str__ = __repr__

    @property
    def variation(self) -> str:
        """What the arm changes, in a line."""
        return ", ".join(f"{key}={value}" for key, value in self.changes.items()) or "the base"

    def error_context(self) -> AbstractContextManager[None]:
        """Put the name of this arm before the text of an error that is raised inside."""
        return error_context(f"arm '{self.name}'")


def read_study(
    document: Document, overrides: Mapping[str, Any] = MappingProxyType({}), size: str = ""
) -> tuple[Study, tuple[Arm, ...], Document]:
    """The study, its arms, and the document with its `size` and then `overrides` (values by dotted key) applied.

    Raises:
        ConfigError: for the first error, with its location.
    """
    if size:
        document = apply_size(document, size, Study)
    for dotted, value in overrides.items():
        document = config.override(document, Study, {dotted: value}, "on the command line")
    document = note_overrides(document, overrides)
    study = config.build(Study, document)
    if not study.name:
        study = study.replace(name=check_name(Path(document.name).stem, "without 'name', the study file's name"))
    arms = _read_arms(study, document)
    _check_arms(study, arms, document)
    _check_optional(study, document)
    _check_comparisons(study, document)
    _check_claims(study, document)
    return study, arms, document


def _read_arms(study: Study, document: Document) -> tuple[Arm, ...]:
    """Each arm from the base document with its changes; only the parts that an arm changes are validated again."""
    base = Document(
        {part: document.data[part] for part in PARTS if part in document.data},
        document.name,
        {keys: location for keys, location in document.locations.items() if not keys or keys[0] in PARTS},
        document.replaced,
    )
    return tuple(_read_arm(name, changes, study, base, document) for name, changes in study.variations.items())


def _read_arm(name: str, changes: Mapping[str, Any], study: Study, base: Document, document: Document) -> Arm:
    keys = (study.kind,) if study.kind != "arms" else ("arms", name)
    with error_context(document.location(keys)):
        if study.kind == "arms":  # else the name is made of the values, and may be long
            check_name(name, "an arm's name")
        if not re.search(r"\w", name) or " - " in name:
            raise ConfigError(f"an arm's name needs a letter or digit and no ' - ' in it, got {name!r}")
    varied = base
    for dotted, value in changes.items():
        location = f"{document.location((*keys, dotted))}: arm '{name}'"
        part = dotted.split(".")[0]
        if part not in PARTS:
            raise ConfigError(f"{location}: {dotted}: an arm changes data, network or recipe; {suggest(part, PARTS)}")
        varied = config.override(varied, Arm, {dotted: value}, location)
    changed = {dotted.split(".")[0] for dotted in changes}
    parts = {part: varied.data[part] if part in changed else getattr(study, part) for part in PARTS}
    whole = Document({"name": name, "changes": dict(changes), **parts}, varied.name, varied.locations, varied.replaced)
    return config.build(Arm, whole)


def _check_arms(study: Study, arms: Sequence[Arm], document: Document) -> None:
    """Refuse arms that are equal, or whose folders would be the same."""
    location = document.location((study.kind,))
    by_content: dict[str, str] = {}
    by_folder: dict[str, str] = {}
    for arm in arms:
        # By every field: where the images lie tells arms apart too, though it takes no part in a record's fingerprint.
        content = fingerprint(*(part.model_dump(mode="json") for part in (arm.data, arm.network, arm.recipe)))
        if (equal := by_content.setdefault(content, arm.name)) != arm.name:
            raise ConfigError(
                f"{location}: the arms '{equal}' and '{arm.name}' are alike; change something in one, or remove it"
            )
        folder = slug(arm.name).casefold()  # some file systems do not distinguish upper and lower case
        if (other := by_folder.setdefault(folder, arm.name)) != arm.name:
            raise ConfigError(
                f"{location}: the arms '{other}' and '{arm.name}' would share the folder '{slug(other)}'; rename one"
            )
        if folder in {layout.STUDY, layout.REPORT}:
            raise ConfigError(f"{location}: an arm cannot be called '{arm.name}': a file of the study has that name")


def _check_optional(study: Study, document: Document) -> None:
    for name in study.optional:
        if name not in study.arms:
            raise ConfigError(
                f"{document.location(('optional',))}: optional: unknown arm '{name}'; {suggest(name, study.arms)}"
            )
    if study.optional and not study.arms.keys() - set(study.optional):
        raise ConfigError(f"{document.location(('optional',))}: optional: one arm or more must not be optional")


def _check_comparisons(study: Study, document: Document) -> None:
    names = study.variations.keys()
    pairs: set[frozenset[str]] = set()
    for index, comparison in enumerate(study.compare or ()):
        location = f"{document.location(('compare', index))}: compare"
        for name in (comparison.first, comparison.second):
            if name not in names:
                raise ConfigError(f"{location}: '{comparison}' names an unknown arm '{name}'; {suggest(name, names)}")
        pair = frozenset((comparison.first, comparison.second))
        if pair in pairs:
            raise ConfigError(f"{location}: '{comparison}' is planned twice; keep one of them")
        if len(pair) == 1:
            raise ConfigError(f"{location}: '{comparison}' compares an arm with itself")
        pairs.add(pair)


def _check_claims(study: Study, document: Document) -> None:
    names = study.variations.keys()
    for index, claim in enumerate(study.claims):
        for name in claim.values:
            if name not in names:
                raise ConfigError(
                    f"{document.location(('claims', index))}: claims: unknown arm '{printable(name)}'; {suggest(name, names)}; "
                    "the other keys of a claim are 'says', 'source', 'relation' and 'differs'"
                )
        if claim.relation:
            with error_context(document.location(("claims", index))):
                check_arms(read_relation(claim.relation), tuple(names))
