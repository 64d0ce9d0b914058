"""`load`: from a config to a dataset, the one door of the sources."""

import numpy as np

from striate.core.errors import DataError
from striate.core.seeds import stream
from striate.data.cache import stored
from striate.data.config import DataConfig
from striate.data.dataset import Dataset, Part
from striate.data.finding import find
from striate.data.order import Hashed, digest, shared
from striate.data.strata import draw, quotas

LEAST = 2  # images of a class that `limit` leaves: one to train on and one to validate with


def load(config: DataConfig) -> Dataset:
    """The dataset that a config names, checked.

    Raises:
        DataError: for what is missing, broken or does not fit together; one sentence, with its cure.
    """
    found = find(config.source)
    got = stored(found, config)
    if found.must_be_cifar10 and not got.is_cifar10:
        raise DataError(f"{found.where}: its pixels and labels are not those of CIFAR-10 (checksum); {_CURE}")
    parts, notes = dict(got.parts), [*got.notes]
    if config.limit is not None:
        parts["train"] = _limited(found.where, parts["train"], config.limit, got.classes)
    notes += [
        _leak(name, leaked) for name in parts if name != "train" and (leaked := shared(parts["train"], parts[name]))
    ]
    plain = {name: Part(part.images, part.labels) for name, part in parts.items()}
    return Dataset(
        name="cifar10" if got.is_cifar10 else found.name,
        classes=got.classes,
        train=plain["train"],
        validation=plain.get("validation"),
        test=plain["test"],
        digest=digest(got.classes, parts),
        notes=tuple(notes),
    )


_CURE = "fetch it again, or give its path as data.source if it is meant to be another dataset"


def _leak(name: str, count: int) -> str:
    return f"{count} image{'s' if count > 1 else ''} of the {name} part are, pixel by pixel, also in the train part"


def _limited(where: str, train: Hashed, limit: int, classes: tuple[str, ...]) -> Hashed:
    """A stratified subset. A smaller limit gives a subset of a larger one, and no seed has a say."""
    if limit >= len(train.labels):
        return train
    if limit < LEAST * len(classes):
        rule = f"data.limit: {len(classes)} classes need at least {LEAST * len(classes)} images, got {limit}"
        raise DataError(f"{rule}; raise the limit")
    counts = np.bincount(train.labels, minlength=len(classes))
    quota = quotas(counts, limit, np.minimum(counts, LEAST), counts)
    return train.pick(draw(train.labels, quota, stream(0, "limit")))
