"""What was compared: arms, data, networks, recipe, environment and the study file, as text.

What the runs recorded is preferred to what the study file says. No network is built: layer tables come from the run
folders, or are computed from the layer notation.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from striate.core import config
from striate.core.errors import NetworkError
from striate.core.records import Record
from striate.nets.graph.from_layers import network_graph
from striate.nets.summary.columns import COLUMNS, totals_in_words
from striate.nets.summary.table import LayerTable, layer_table
from striate.recipes import AugmentConfig, Recipe, StopConfig
from striate.report.metric_words import MetricWords, metric_words
from striate.report.wording import NONE, Table, abbreviated, count, listed, pair, shortened, value, whole
from striate.runs import DataFacts
from striate.studies.claims import Claim
from striate.studies.metrics import TEST_ACCURACY
from striate.studies.results import Results
from striate.studies.rows import RunRow
from striate.studies.study import Arm, Study

Facts = tuple[tuple[str, str], ...]

MOST_NETWORKS = 4  # layer tables on a page; a grid of networks would fill it with rows that nobody reads

_PATH_KEYS = {"source", "data", "pretrained", "import"}  # of a study file, whose values may be paths

_ENVIRONMENT = (
    "striate", "study_commit", "engine", "python", "torch", "numpy", "cupy", "platform", "device", "device_name", "precision",
    "precision_reason", "convolution", "threads", "runs_at_once", "channels_last", "fused_optimizer",
)  # fmt: skip

_AUGMENT = {
    "crop": "random shifts up to {} pixels",
    "rotate": "rotations up to {:g} degrees",
    "scale": "scaling up to {:g}",
    "brightness": "brightness up to {:g}",
    "contrast": "contrast up to {:g}",
    "saturation": "saturation up to {:g}",
    "hue": "hue up to {:g}",
    "cutout": "cutout of {} pixels",
    "erase": "random erasing with probability {:g}",
    "mixup": "mixup with alpha {:g}",
    "cutmix": "CutMix with alpha {:g}",
    "strength": "RandAugment (two operations, strength {:g} of 10)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerTables:
    """The layer table of each different network with the arms that use it, and a line about those not shown."""

    tables: tuple[tuple[str, Table], ...]
    note: str = ""


def arms_table(results: Results) -> Table:
    """Arms against the settings in which they differ, each with its whole value."""
    settings = {arm.name: _flat(arm) for arm in results.arms}
    keys = list(dict.fromkeys(key for of_arm in settings.values() for key in of_arm))
    differing = [key for key in keys if len({repr(of_arm.get(key)) for of_arm in settings.values()}) > 1]
    rows = []
    for arm, of_arm in settings.items():
        counts = sorted({row.summary.parameters for row in results.of(arm) if row.summary and row.summary.parameters})
        parameters = listed(map(whole, counts)) if counts else NONE
        rows.append((arm, *(_setting(key, of_arm.get(key)) for key in differing), parameters))
    return Table(head=("arm", *differing, "parameters"), rows=tuple(rows))


def data_facts(results: Results) -> Facts:
    """One entry for each different data set; arms are named where they differ in it."""
    # Compared by their text: mean and deviation differ from seed to seed (the split does), and a run that diverged has
    # not opened its test part, though its images are the same.
    arms_of: dict[tuple[str, str], list[str]] = {}
    for row in results.rows:
        if row.data:
            arms = arms_of.setdefault((_data(row.data), _notes(row.data)), [])
            arms += [row.arm] * (row.arm not in arms)
    if not arms_of:
        return (("Data", f"{_setting('source', results.study.data.source)} (no run has recorded its sizes yet)."),)
    facts = []
    for (text, notes), arms in arms_of.items():
        of_arms = f" of {listed(map(abbreviated, arms))}" if len(arms_of) > 1 else ""
        facts += [(f"Data{of_arms}", text), *([(f"Notes on the data{of_arms}", notes)] if notes else [])]
    return tuple(facts)


def design_facts(results: Results) -> Facts:
    """Network, recipe and the rules of the comparison."""
    study, words = results.study, metric_words(results)
    matters = words.size(study.matters, f"{study.matters:g}")
    planned = listed(pair(c.first, c.second) for c in study.comparisons) if study.comparisons else "None"
    varies = " The table above shows what the arms change." if len(results.arms) > 1 else ""
    paired = "Runs with the same seed share initial weights, batches and augmentation, so arms are compared in pairs."
    fixed = "" if study.replanned else " Fixed before the runs."
    return (
        ("Network", f"{network(study)}.{varies}"),
        ("Recipe", recipe(study.recipe)),
        ("Seeds", f"{listed(map(str, study.seeds))}. {paired}"),
        ("Metric", _metric(words)),
        ("Checkpoint", f"The weights of the epoch with the best {_best_by(results)}."),
        ("Test set", _test_set(results)),
        ("Smallest difference that matters", f"{matters} of {words.name}.{fixed}"),
        ("Planned comparisons", f"{planned}."),
    )  # fmt: skip


def _metric(words: MetricWords) -> str:
    way = "The lower, the better" if words.metric.lower_is_better else "The higher, the better"
    on = " on the test images" if words.name == TEST_ACCURACY else ""
    differences = f" Differences are{words.difference_unit}." if words.difference_unit else ""
    return f"{words.title}{on}{words.in_unit}. {way}.{differences}"


def _best_by(results: Results) -> str:
    """What the best epoch has most of, by arm where they differ."""
    balanced = [arm.name for arm in results.arms if arm.recipe.class_weights == "balanced"]
    if not balanced:
        return "validation accuracy"
    if len(balanced) == len(results.arms):
        return "balanced validation accuracy"
    return f"validation accuracy ({listed(balanced)}: balanced validation accuracy)"


def layer_tables(results: Results) -> LayerTables:
    """The layer tables of at most MOST_NETWORKS networks; none while no run has begun."""
    arms_of: dict[Table, list[str]] = {}
    without_table = []
    for arm in results.arms:
        rows = results.of(arm.name)
        if table := _recorded_layers(rows) or _computed_layers(arm, rows):
            arms_of.setdefault(_as_text(table), []).append(arm.name)
        elif any(row.run for row in rows):
            without_table.append(arm.name)
    notes = []
    if without_table:
        notes.append(f"The layers of {listed(without_table)} are not shown, as the run folders have no network.json.")
    if len(arms_of) > MOST_NETWORKS:
        notes.append(f"The page shows {MOST_NETWORKS} of {len(arms_of)} networks.")
    tables = tuple((listed(arms), table) for table, arms in arms_of.items())
    return LayerTables(tables=tables[:MOST_NETWORKS], note=" ".join(notes))


def network(study: Study) -> str:
    """The network as one sentence without its full stop."""
    settings = study.network
    if settings.is_foreign:
        return f"{settings.title}, {'with' if settings.pretrained else 'without'} pretrained weights, frozen: {settings.freeze}"
    norm = "no normalization" if settings.norm == "none" else f"{settings.norm} normalization"
    activation = "no activation" if settings.activation == "none" else settings.activation
    heads = {"classifier": "and a classifier", "gap": "and global average pooling with a classifier"}
    head = f"{heads[settings.head]} on top" if settings.head in heads else "and no classifier added"
    # The numbers of a family are in the title. The rest is shown where it is not the default.
    stated = {"layers", "family", *settings.family_numbers, "norm", "activation", "head"}
    others = [
        f"{key} {value(item)}" for key, item in settings.model_dump(exclude_defaults=True).items() if key not in stated
    ]
    return "; ".join([f"{settings.title}; {norm}, {activation} after each conv and fc layer, {head}", *others])


def recipe(settings: Recipe) -> str:
    """The recipe as one sentence."""
    optimizer = settings.optimizer
    augmentation = _augmentation(settings.augment)
    parts = [
        ", ".join([optimizer.name, *(f"{key} {value(item)}" for key, item in optimizer.arguments.items())]),
        *_if_set(optimizer.clip, "gradient norm clipped at {}"),
        *_if_set(None if optimizer.decays == "all" else optimizer.decays, "weight decay on {} only"),
        f"batches of {settings.batch_size}",
        count(settings.epochs, "epoch") + _stops(settings.stop),
        *([] if settings.shuffle else ["the same order of images in every epoch"]),
        f"{settings.schedule.name} learning rate{_arguments(settings.schedule)}",
        listed(augmentation) if augmentation else "no augmentation",
        *_if_set(settings.label_smoothing or None, "label smoothing {}"),
        *([] if settings.class_weights == "none" else ["classes weighted by the inverse of their size"]),
        *_if_set(settings.ema, "exponential moving average of the weights, decay {} per step"),
        *_if_set(settings.precise_norm, "batch statistics computed again on {} images"),
        *_if_set(None if settings.test_time == "none" else settings.test_time, "test-time augmentation: {}"),
    ]
    return "; ".join(parts) + "."


def study_yaml(study: Study) -> str:
    """The study as a file that `striate run` takes, with paths cut to their last component."""
    content = study.model_dump(mode="json", exclude_defaults=True)
    for key, short in (("data", "source"), ("network", "layers")):
        if set(content[key]) == {short}:
            content[key] = content[key][short]
    for key in ("design", "looks_taken", "looks", *([] if study.size else ["overridden"])):
        content.pop(key, None)
    if study.seeds == tuple(range(len(study.seeds))):
        content["seeds"] = {"looks": list(study.looks)} if study.looks else len(study.seeds)
    content["matters"] = study.matters  # also where it is the default: the verdicts depend on it
    if study.compare is not None:
        content["compare"] = [str(comparison) for comparison in study.compare]
    if study.claims:
        content["claims"] = [
            {
                **{key: text for key in ("says", "source", "relation", "differs") if (text := getattr(claim, key))},
                **{arm: _stated(claim, arm) for arm in claim.values},
            }
            for claim in study.claims
        ]
    return config.dump(_without_paths(content, local_paths(content)))


def _stated(claim: Claim, arm: str) -> float | str:
    """The accuracy that a claim states, as a study file has it."""
    value = claim.values[arm]
    return f"{value:g} +- {claim.tolerances[arm]:g}" if arm in claim.tolerances else value


def environments(results: Results) -> Table | None:
    """A column for each different environment with the number of its runs; None while no run has recorded one."""
    counts: dict[str, int] = {}
    for row in results.rows:
        if row.run and row.run.environment:
            environment = row.run.environment.model_dump(mode="json")
            key = json.dumps({name: environment[name] for name in _ENVIRONMENT if name in environment})
            counts[key] = counts.get(key, 0) + 1
    if not counts:
        return None
    columns = [json.loads(key) for key in counts]
    rows = [
        (name.replace("_", " "), *(value(environment.get(name)) for environment in columns))
        for name in _ENVIRONMENT
        if any(name in environment for environment in columns)
    ]
    note = "The runs had different environments, so the last digits of two runs may differ for that reason alone."
    return Table(
        head=("environment", *(count(n, "run") for n in counts.values())),
        rows=tuple(rows),
        note=note if len(counts) > 1 else "",
    )


def _recorded_layers(rows: Sequence[RunRow]) -> LayerTable | None:
    """The layer table that a run of the arm has recorded."""
    return next((table for row in rows if row.run and (table := row.run.network)), None)


def _computed_layers(arm: Arm, rows: Sequence[RunRow]) -> LayerTable | None:
    """The layer table for runs that have recorded none (version 0.1.0); None for a module, which only running it would count."""
    data = next((row.data for row in rows if row.data), None)
    if arm.network.is_foreign or data is None or data.shape is None:
        return None
    try:
        return layer_table(network_graph(arm.network, data.shape, len(data.classes)))
    except NetworkError:
        return None


def _as_text(table: LayerTable) -> Table:
    rows = tuple(tuple(column.cell(row) for column in COLUMNS) for row in table.rows)
    totals = "; ".join(f"{name} {text}" for name, text in totals_in_words(table))
    return Table(head=tuple(column.heading for column in COLUMNS), rows=rows, note=totals)


def _augmentation(settings: AugmentConfig) -> list[str]:
    """Each kind of augmentation that is on, in the order of the keys."""
    flips = {True: "horizontal flips", "alternate": "horizontal flips in every second epoch"}
    others = (_AUGMENT[key].format(item) for key, item in settings if item and key != "flip")
    return [*([flips[settings.flip]] if settings.flip else []), *others]


def _if_set(item: Any, text: str) -> list[str]:
    """The text with the value in it, where there is one."""
    return [] if item is None else [text.format(value(item))]


def _arguments(record: Record) -> str:
    """The settings of a part of the recipe beside its name, in brackets."""
    settings = {key: item for key, item in record.identity().items() if key != "name"}
    return f" ({value(settings)})" if settings else ""


def _stops(stop: StopConfig) -> str:
    """What may end the training earlier."""
    conditions = [
        *_if_set(stop.patience, f"{{}} epochs without a better {stop.watch.replace('_', ' ')}"),
        *_if_set(stop.train_loss, "a training loss under {}"),
        *_if_set(stop.minutes, "{} minutes"),
    ]
    return f" at most, or until {' or '.join(conditions)}" if conditions else ""


def _data(data: DataFacts) -> str:
    names = f" ({listed(data.classes)})" if 0 < len(data.classes) <= 12 else ""
    parts = [f"{shortened(data.name)}: {len(data.classes)} classes{names}"]
    if data.shape:
        channels, height, width = data.shape
        parts.append(f"{height} x {width} pixels, {count(channels, 'channel')}")
    parts.append(
        f"{whole(data.train)} training, {whole(data.validation)} validation and {whole(data.test)} test images"
    )
    parts += [f"digest {data.digest[:12]}"] if data.digest else []
    return f"{'; '.join(parts)}."


def _notes(data: DataFacts) -> str:
    """The notes as sentences."""
    return " ".join(f"{note[:1].upper()}{note[1:]}." for note in map(shortened, data.notes))


def _test_set(results: Results) -> str:
    summaries = [row.summary for row in results.rows if row.summary]
    reasons = list(dict.fromkeys(s.test_opened_because for s in summaries if s.test_opened_because))
    if not reasons:
        return "Not used yet."
    images = sorted({s.test_images for s in summaries if s.test_images})
    size = f" ({listed(map(whole, images))} images)" if images else ""
    when = "Evaluated in every epoch" if results.study.watch_test else "Evaluated once per run, at its end"
    return f"{when}{size}. Recorded reason: {'; '.join(map(shortened, reasons))}."


def _flat(arm: Arm) -> dict[str, Any]:
    """The settings of an arm by dotted keys. A schedule or optimizer lacks the keys that only another has."""
    settings = {"data": arm.data.model_dump(), "network": arm.network.model_dump(), "recipe": arm.recipe.model_dump()}
    return dict(_leaves(settings, ""))


def _leaves(content: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, item in content.items():
        leaves += _leaves(item, f"{prefix}{key}.") if isinstance(item, Mapping) else [(f"{prefix}{key}", item)]
    return leaves


def _setting(key: str, item: Any) -> str:
    """A value of the study file. A `source` may be a relative path, which `shortened` cannot tell from a word."""
    return PurePath(str(item)).name or value(item) if key.endswith("source") and item is not None else value(item)


def local_paths(content: Any) -> dict[str, str]:
    """Each absolute path to images or weights in a study file, with the name beside the file that the page gives it.

    `./photos`, because `photos` could be the name of a data set; `./photos-2` for another folder of that name.
    """
    names: dict[str, str] = {}
    for key, item in _leaves(content, "") if isinstance(content, Mapping) else []:
        for path in item if isinstance(item, list | tuple) else [item]:
            if isinstance(path, str) and key.split(".")[-1] in _PATH_KEYS and PurePath(path).is_absolute():
                names.setdefault(path, _free_name(PurePath(path), set(names.values())))
    return names


def _free_name(path: PurePath, taken: set[str]) -> str:
    name, number = f"./{path.name}", 2
    while name in taken:
        name, number = f"./{path.stem}-{number}{path.suffix}", number + 1
    return name


def _without_paths(content: Any, local: Mapping[str, str], key: str = "") -> Any:
    if isinstance(content, Mapping):
        return {name: _without_paths(item, local, str(name)) for name, item in content.items()}
    if isinstance(content, list | tuple):
        return [_without_paths(item, local, key) for item in content]
    if not isinstance(content, str):
        return content
    return local.get(content, content) if key.split(".")[-1] in _PATH_KEYS else shortened(content)
