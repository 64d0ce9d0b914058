"""Which column is the arm, which the seed, which the metric: recognized by name and content, or as the user says."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from striate.core.config import suggest
from striate.core.errors import TableError
from striate.tables.metric import rank, words
from striate.tables.table import Table
from striate.verdicts.wording import short_list

ARM = (
    "arm",
    "variant",
    "method",
    "condition",
    "treatment",
    "model",
    "architecture",
    "arch",
    "algorithm",
    "network",
    "config",
    "setting",
    "group",
)
SEED = (
    "seed",
    "random seed",
    "rng seed",
    "random state",
    "manual seed",
    "seed id",
    "replicate",
    "rep",
    "repeat",
    "repetition",
    "trial",
    "fold",
    "run",
    "run id",
)
RUN = ("run", "run file", "run name", "name", "mlflow run name", "experiment", "experiment name", "job", "id", "run id")
STEP = ("step", "global step", "trainer global step", "epoch", "iteration", "iter", "round")
STATE = ("state", "status", "run state")
IMAGE = (
    "image",
    "image id",
    "img",
    "sample",
    "sample id",
    "example",
    "example id",
    "test image",
    "item",
    "index",
    "idx",
)
_SETTINGS = ("config", "params", "hparams")
_PREFIXES = ("config", "params", "hparams", "hyperparameters", "param", "args", "tags")
FEWEST_IMAGES = 10  # columns of 0 and 1 that are read as test images when nobody says so

_SEED_IN_NAME = re.compile(
    r"(?:random[_\- ]?|rng[_\- ]?)?seed[\s_\-=:/]{0,3}(\d{1,18})[)]?|(?:^|[\s_\-/.])s(\d{1,18})(?=$|[\s_\-/.])",
    re.IGNORECASE,
)
_NUMBER_AT_END = re.compile(r"[\s_\-/.#](\d{1,18})$")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the user says of the columns; what is empty is recognized."""

    arm: tuple[str, ...] = ()
    seed: str = ""
    metric: str = ""
    images: str = ""
    """The column with the test image of a row, or a pattern of the columns that each are one, such as image_*."""
    step: str = ""
    run: str = ""
    """The column with the names of runs, from which arm and seed are taken."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns that are used."""

    arm: tuple[str, ...]
    seed: str
    metric: str  # "" where `images` are columns
    step: str = ""
    state: str = ""
    image: str = ""
    images: tuple[str, ...] = ()
    run: str = ""  # arm or seed were taken from these names


ARM_OF_RUN, SEED_OF_RUN = "arm in the run's name", "seed in the run's name"


def recognize(table: Table, choices: Choices) -> tuple[Table, Columns]:
    """The columns of `table` by their roles; the table may have gained an arm and a seed from the names of runs.

    Raises:
        TableError: for a role that no column has, with the option that sets it.
    """
    for name in (*choices.arm, choices.seed, choices.metric, choices.step, choices.run):
        if name and name not in table.columns:
            raise TableError(f"{table.place}: there is no column '{name:.60}'; {suggest(name, table.columns)}")
    seed = choices.seed or _seed(table, set(choices.arm))
    arm = choices.arm or _arm(table, seed)
    run = choices.run
    if not (arm and seed) or run:
        table, arm, seed, run = _from_runs(table, choices, arm, seed)
    taken = {*arm, seed, run}
    step = choices.step or next(_named(table, STEP, taken), "")
    state = next(_named(table, STATE, taken), "")
    taken |= {step, state}
    image, images = _images(table, choices, taken)
    image = "" if step and not choices.images else image  # a history with an index
    metric = "" if images else choices.metric or _metric(table, taken | {image})
    return table, Columns(
        arm=arm, seed=seed, metric=metric, step=step, state=state, image=image, images=images, run=run
    )


def _arm(table: Table, seed: str) -> tuple[str, ...]:
    """The first column with a known name, else the one setting of runs that varies; of columns with more than one value."""
    known = [name for name in _named(table, ARM, {seed}) if table.value_count(name) > 1]
    if not known and seed:
        known = [name for name in _varying_settings(table, seed) if _has_several_seeds(table, name, seed)]
        known = known if len(known) == 1 else []
    return tuple(known[:1])


def _varying_settings(table: Table, seed: str) -> list[str]:
    """The columns of what a tracker keeps as settings of runs, as far as they differ."""
    settings = (name for name in table.columns if words(name)[:1] and words(name)[0] in _SETTINGS and name != seed)
    return [name for name in settings if table.value_count(name) > 1]


def _named(table: Table, known: Sequence[str], taken: set[str]) -> Iterator[str]:
    """The columns with a known name, in the order of `known`."""
    by_words: dict[str, str] = {}
    for name in table.columns:
        parts = words(name)
        while len(parts) > 1 and parts[0] in _PREFIXES and name not in taken:
            by_words.setdefault(" ".join(parts), name)
            parts = parts[1:]
        by_words.setdefault(" ".join(parts), name)
    return (by_words[word] for word in known if word in by_words and by_words[word] not in taken)


def _seed(table: Table, taken: set[str]) -> str:
    """The first with a known name that holds numbers, or texts that end in one."""
    for name in _named(table, SEED, taken):
        is_certain = "seed" in words(name) or "fold" in words(name)
        if is_certain or _all(table, name, lambda text: text.lstrip("-").isdigit()):
            return name
    return ""


def _all(table: Table, name: str, holds: Callable[[str], bool]) -> bool:
    given = [text for text in table.texts(name)[0] if text.strip()]
    return bool(given) and all(map(holds, given))


def _from_runs(
    table: Table, choices: Choices, arm: tuple[str, ...], seed: str
) -> tuple[Table, tuple[str, ...], str, str]:
    """Arm, seed or both from the names of runs."""
    names = [choices.run] if choices.run else [n for n in _named(table, RUN, {seed, *arm}) if not table.is_numeric(n)]
    for name in names:
        texts, codes = table.texts(name)
        split = [split_name(text) for text in texts]
        if all(split) and _is_design(split):
            added: dict[str, Sequence[object]] = {}
            if not arm:
                added[ARM_OF_RUN] = np.array([part[0] if part else "" for part in split], dtype=object)[codes].tolist()
            if not seed:
                added[SEED_OF_RUN] = np.array([part[1] if part else 0 for part in split])[codes].tolist()
            return table.with_columns(added), arm or (ARM_OF_RUN,), seed or SEED_OF_RUN, name
        if seed and not arm and table.value_count(name) > 1 and _has_several_seeds(table, name, seed):
            return table, (name,), seed, ""
        if choices.run:
            bad = next((text for text, part in zip(texts, split, strict=True) if not part), texts[0])
            raise TableError(
                f"{table.place}: a run's name must hold its arm and its seed, as in 'plain-seed3' or 'plain/3', got '{bad:.60}'; "
                "name the columns with --arm and --seed"
            )
    if seed and not choices.run and (constant := next(_named(table, ARM, {seed}), "")):
        return table, (constant,), seed, ""  # one arm, which is refused where arms are counted
    role, option = ("arm", "--arm") if seed else ("seed", "--seed")
    skipped = ("metrics", "summary", seed, *STATE, *STEP)
    few = [(name, n) for name, n in table.few_valued() if not {name.lower(), *words(name)[:1]} & {*skipped}]
    columns = [f"{name} ({n} values)" for name, n in few] or list(table.columns)
    raise TableError(
        f"{table.place}: no column is recognized as the {role}; name it with {option}. There are: {short_list(columns, 12)}"
    )


def split_name(name: str) -> tuple[str, int] | None:
    """plain-seed3, plain/3, seed=3 plain: arm and seed; None where there is no seed."""
    match = _SEED_IN_NAME.search(name)
    if match is None:
        match = _NUMBER_AT_END.search(name)
    if match is None:
        return None
    number = next(group for group in match.groups() if group is not None)
    left, right = name[: match.start()].strip(" _-/.,;:()="), name[match.end() :].strip(" _-/.,;:()=")
    return "/".join(part for part in (left, right) if part) or "runs", int(number)


def _has_several_seeds(table: Table, name: str, seed: str) -> bool:
    """Whether any value of `name` has more than one seed, as an arm has."""
    texts, codes = table.texts(name)
    return len(np.unique(np.stack([codes, table.texts(seed)[1]]), axis=1).T) > len(texts)


def _is_design(split: Sequence[tuple[str, int] | None]) -> bool:
    """Whether arms share seeds, as those of a comparison do; the numbers of runs that a tracker counts are no seeds."""
    seeds = [part[1] for part in split if part]
    return len(set(seeds)) < len(seeds)


def _images(table: Table, choices: Choices, taken: set[str]) -> tuple[str, tuple[str, ...]]:
    """The column that names images, or those that are images."""
    if choices.images in table.columns:
        return choices.images, ()
    others = [name for name in table.columns if name not in taken]
    if choices.images:
        found = tuple(name for name in others if fnmatchcase(name, choices.images))
        if not found:
            raise TableError(
                f"{table.place}: no column is called '{choices.images:.60}'; {suggest(choices.images, table.columns)}"
            )
        return "", found
    if not choices.metric and len(others) >= FEWEST_IMAGES:
        numbered = [name for name in others if re.search(r"\d$", name) and rank(name) is None]
        found = tuple(name for name in numbered if _is_right_or_wrong(table, name))
        if len(found) >= FEWEST_IMAGES and len(found) == len(numbered):
            return "", found
    return next(iter(_named(table, IMAGE, taken)), ""), ()


def _is_right_or_wrong(table: Table, name: str) -> bool:
    return {text.strip().lower() for text in table.texts(name)[0]} <= {"0", "1", "0.0", "1.0", "true", "false"}


def _metric(table: Table, taken: set[str]) -> str:
    numeric = [name for name in table.columns if name not in taken and table.is_numeric(name)]
    ranked = sorted((order, index) for index, name in enumerate(numeric) if (order := rank(name)) is not None)
    if ranked:
        return numeric[ranked[0][1]]
    if len(numeric) == 1:
        return numeric[0]
    if numeric:
        raise TableError(
            f"{table.place}: no column is recognized as the metric; name it with --metric. Numbers are in: {short_list(numeric, 12)}"
        )
    # Perhaps a column of numbers begins with text: reading it says where.
    if named := [name for name in table.columns if name not in taken and rank(name) is not None]:
        table.numbers(named[0])
        raise TableError(f"{table.place}: '{named[0]}' has no value in any row; name another column with --metric")
    raise TableError(
        f"{table.place}: no column holds numbers to judge; there are: {short_list(list(table.columns), 12)}"
    )
