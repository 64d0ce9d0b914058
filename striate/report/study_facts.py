"""What was compared and with what: arms, data, network, recipe, environment, the study file. Facts as text.

The page's sections 2 and 6. What the runs recorded is preferred to what the study file promised.
"""

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from striate.core import config
from striate.core.records import Record
from striate.recipes import AugmentConfig, Recipe, StopConfig
from striate.report.wording import NONE, Table, count, listed, pair, shortened, value, whole
from striate.runs import DataFacts
from striate.studies.results import Results
from striate.studies.study import Arm, Study

Facts = tuple[tuple[str, str], ...]

_ENVIRONMENT = (
    "striate", "study_commit", "engine", "python", "torch", "numpy", "cupy", "platform", "device", "device_name", "precision", "threads",
    "runs_at_once", "channels_last", "fused_optimizer",
)  # fmt: skip

_AUGMENT = {
    "crop": "shifts of up to {} pixels",
    "rotate": "turns of up to {:g} degrees",
    "scale": "scaling by up to {:g}",
    "brightness": "brightness by up to {:g}",
    "contrast": "contrast by up to {:g}",
    "saturation": "saturation by up to {:g}",
    "hue": "hue by up to {:g}",
    "cutout": "cutout of {} pixels",
    "erase": "erasing with probability {:g}",
    "mixup": "mixup with alpha {:g}",
    "cutmix": "CutMix with alpha {:g}",
    "strength": "two random operations at strength {:g} of 10",
}

_PAIRED = "Arms with one seed share initial weights, batches and augmentation, so they are compared in pairs."


def arms_table(results: Results) -> Table:
    """Arms against the keys in which they differ, each with its whole value."""
    flat = {arm.name: _flat(arm) for arm in results.arms}
    keys = list(dict.fromkeys(key for settings in flat.values() for key in settings))
    differing = [key for key in keys if len({repr(settings.get(key)) for settings in flat.values()}) > 1]
    rows = []
    for arm, settings in flat.items():
        counts = sorted({n for row in results.of(arm) if row.summary and (n := row.summary.parameters)})
        rows.append(
            (
                arm,
                *(_short(key, settings.get(key)) for key in differing),
                listed(map(whole, counts)) if counts else NONE,
            )
        )
    return Table(head=("arm", *differing, "parameters"), rows=tuple(rows))


def data_facts(results: Results) -> Facts:
    """One entry for each data set met; arms are named where they differ in it."""
    # Compared by what is said of them: mean and deviation differ from seed to seed (the split does), and a run that
    # diverged has not opened its test part, without being about other images.
    met: dict[str, list[str]] = {}
    for row in results.rows:
        if row.data:
            arms = met.setdefault(_data(row.data), [])
            arms += [row.arm] * (row.arm not in arms)
    if not met:
        return (("Data", f"{_short('source', results.study.data.source)} (no run has recorded its sizes yet)"),)
    return tuple((f"Data of {listed(arms)}" if len(met) > 1 else "Data", said) for said, arms in met.items())


def design_facts(results: Results) -> Facts:
    """Network, recipe and the rules of the comparison."""
    study = results.study
    planned = listed(pair(c.first, c.second) for c in study.comparisons) if study.comparisons else "None"
    varies = " The arms change what the table says." if len(results.arms) > 1 else ""
    return (
        ("Network", f"{network(study)}.{varies}"),
        ("Recipe", recipe(study.recipe)),
        ("Seeds", f"{listed(map(str, study.seeds))}. {_PAIRED}"),
        ("Measure", "Accuracy on the test images, in percent; differences are in points (1 point is 1 % of the images)."),
        ("Checkpoint", "The weights of the epoch with the best validation accuracy."),
        ("Test set", _test_set(results)),
        ("What matters", f"A difference of {study.matters:g} points or more{_when(study)}."),
        ("Planned comparisons", f"{planned}."),
        *((("Changed once results were there", f"{'; '.join(study.replanned)}."),) if study.replanned else ()),
    )  # fmt: skip


def _when(study: Study) -> str:
    return "" if study.replanned else "; written down before the runs"


def network(study: Study) -> str:
    spec = study.network
    if spec.is_foreign:
        return f"{spec.title}, {'with' if spec.pretrained else 'without'} pretrained weights, frozen: {spec.freeze}"
    norm = "no normalization" if spec.norm == "none" else f"{spec.norm} normalization"
    activation = "no activation" if spec.activation == "none" else spec.activation
    heads = {"classifier": "and a classifier", "gap": "and global average pooling with a classifier"}
    head = f"{heads[spec.head]} on top" if spec.head in heads else "and no classifier of its own"
    # The rest as the study file says it: whatever is not as usual. A family's numbers are in the title.
    told = {"layers", "family", *spec.numbers, "norm", "activation", "head"}
    own = [f"{key} {value(item)}" for key, item in spec.model_dump(exclude_defaults=True).items() if key not in told]
    return "; ".join([f"{spec.title}; {norm}, {activation} after each conv and fc layer, {head}", *own])


def recipe(spec: Recipe) -> str:
    """The recipe as one sentence."""
    optimizer, augment = spec.optimizer, spec.augment
    arguments = [optimizer.name, *(f"{key} {value(item)}" for key, item in optimizer.arguments.items())]
    pictures = _augment(augment)
    said = [
        ", ".join(arguments),
        *_where(optimizer.clip, "gradients clipped at {}"),
        *_where(None if optimizer.decays == "all" else optimizer.decays, "weight decay on {} alone"),
        f"batches of {spec.batch_size}",
        count(spec.epochs, "epoch") + _stops(spec.stop),
        *_where(None if spec.shuffle else "one", "the images in {} order"),
        f"{spec.schedule.name} learning rate{_own(spec.schedule)}",
        listed(pictures) if pictures else "no augmentation",
        *_where(spec.label_smoothing or None, "label smoothing {}"),
        *_where(spec.ema, "weights averaged with a decay of {} a step"),
        *_where(spec.precise_norm, "norms measured anew on {} images"),
        *_where(None if spec.test_time == "none" else spec.test_time, "outputs averaged over views at the end ({})"),
    ]
    return "; ".join(said) + "."


def _augment(spec: AugmentConfig) -> list[str]:
    """Each kind of augmentation that is on, in the order of the keys."""
    flips = {True: "flips", "alternate": "flips in every second epoch"}
    words = (_AUGMENT[key].format(item) for key, item in spec if item and key != "flip")
    return [*([flips[spec.flip]] if spec.flip else []), *words]


def _where(item: Any, text: str) -> list[str]:
    """The text with the value in it, where there is one."""
    return [] if item is None else [text.format(value(item))]


def _own(record: Record) -> str:
    """What a part of the recipe says beside its name."""
    own = {key: item for key, item in record.identity().items() if key != "name"}
    return f" ({value(own)})" if own else ""


def _stops(stop: StopConfig) -> str:
    """What may end the training earlier."""
    ends = [
        *_where(stop.patience, f"{{}} epochs without a better {stop.watch.replace('_', ' ')}"),
        *_where(stop.train_loss, "a training loss under {}"),
        *_where(stop.minutes, "{} minutes"),
    ]
    return f" at most, or until {' or '.join(ends)}" if ends else ""


def study_yaml(study: Study) -> str:
    """The study as a file that `striate run` takes, with paths cut to their last component."""
    content = study.model_dump(mode="json", exclude_defaults=True)
    for key, short in (("data", "source"), ("network", "layers")):
        if set(content[key]) == {short}:
            content[key] = content[key][short]
    if study.seeds == tuple(range(len(study.seeds))):
        content["seeds"] = len(study.seeds)
    content["matters"] = study.matters  # written out: the verdicts hang on it
    if study.compare is not None:
        content["compare"] = [str(comparison) for comparison in study.compare]
    if study.claims:
        content["claims"] = [
            {"says": c.says, **({"source": c.source} if c.source else {}), **c.values} for c in study.claims
        ]
    return config.dump(_without_paths(content))


def environments(results: Results) -> Table | None:
    """A column for each environment met, with the number of runs made in it."""
    met: dict[str, int] = {}
    for row in results.rows:
        if row.run and row.run.environment:
            environment = row.run.environment.model_dump(mode="json")
            key = json.dumps({k: environment[k] for k in _ENVIRONMENT if k in environment})
            met[key] = met.get(key, 0) + 1
    if not met:
        return None
    found = [json.loads(key) for key in met]
    rows = [
        (key.replace("_", " "), *(value(env.get(key)) for env in found))
        for key in _ENVIRONMENT
        if any(key in env for env in found)
    ]
    note = (
        ""
        if len(met) == 1
        else "The runs were not all made in the same environment: the last digits of two runs may differ for that reason alone."
    )
    return Table(head=("", *(count(n, "run") for n in met.values())), rows=tuple(rows), note=note)


def _data(data: DataFacts) -> str:
    classes = data.classes
    named = listed(classes) if 0 < len(classes) <= 12 else ""
    said = f"{shortened(data.name)}: {len(classes)} classes" + (f" ({named})" if named else "")
    train, validation, test = (whole(images) for images in (data.train, data.validation, data.test))
    if data.shape:
        channels, height, width = data.shape
        said += f"; {height} x {width} pixels, {count(channels, 'channel')}"
    said += f"; {train} images to train on, {validation} for validation, {test} for the test"
    said += "".join(f"; {shortened(note)}" for note in data.notes)
    digest = data.digest[:12]
    return said + (f"; digest {digest}." if digest else ".")


def _test_set(results: Results) -> str:
    reasons = list(dict.fromkeys(r for row in results.rows if row.summary and (r := row.summary.test_opened_because)))
    if not reasons:
        return "Not opened yet."
    images = sorted({n for row in results.rows if row.summary and (n := row.summary.test_images)})
    size = f" ({listed(map(whole, images))} images)" if images else ""
    when = "Looked at in every epoch" if results.study.watch_test else "Opened once a run, at its end"
    return f"{when}{size}. Recorded reason: {'; '.join(map(shortened, reasons))}."


def _flat(arm: Arm) -> dict[str, Any]:
    """Dotted keys to values. A schedule or optimizer that lacks a key of another's simply has none."""
    whole_arm = {"data": arm.data.model_dump(), "network": arm.network.model_dump(), "recipe": arm.recipe.model_dump()}
    return dict(_leaves(whole_arm, ""))


def _leaves(content: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in content.items():
        found += _leaves(item, f"{prefix}{key}.") if isinstance(item, Mapping) else [(f"{prefix}{key}", item)]
    return found


def _short(key: str, item: Any) -> str:
    """A source may be a relative path, which only its key gives away."""
    return PurePath(str(item)).name or value(item) if key.endswith("source") and item is not None else value(item)


def _without_paths(content: Any, key: str = "") -> Any:
    if isinstance(content, Mapping):
        return {name: _without_paths(item, str(name)) for name, item in content.items()}
    if isinstance(content, list | tuple):
        return [_without_paths(item, key) for item in content]
    if not isinstance(content, str):
        return content
    return _short("source", content) if key.split(".")[-1] in {"source", "data"} else shortened(content)
