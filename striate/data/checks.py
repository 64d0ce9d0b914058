"""What must hold for labels and classes, checked before an image is decoded and again when broken ones are gone."""

from collections.abc import Mapping

import numpy as np

from striate.core.errors import DataError
from striate.data.dataset import Labels
from striate.data.sources.contents import Contents


def contents(found: Contents) -> None:
    """The labels of every part fit the classes."""
    two_classes(found.where, found.classes)
    labels = {name: rows.labels for name, rows in found.parts.items()}
    for name, values in labels.items():
        in_range(f"{found.where}, {name} part", values, len(found.classes))
    every_class(found.where, found.classes, labels)


def two_classes(where: str, classes: tuple[str, ...]) -> None:
    """A classifier of one class is right always and learns nothing."""
    if len(classes) < 2:
        got = f"only '{classes[0]}'" if classes else "none"
        raise DataError(
            f"{where}: a classifier needs at least 2 classes, got {got}; give each class its own folder or label"
        )


def in_range(where: str, labels: Labels, classes: int) -> None:
    """Labels count from 0."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        rule = f"labels must be 0 to {classes - 1} for {classes} classes"
        raise DataError(
            f"{where}: {rule}, got {wrong[0]} ({len(wrong)} out of range); number them from 0 or name all classes"
        )


def every_class(where: str, classes: tuple[str, ...], labels: Mapping[str, Labels]) -> None:
    """Training has every class, and the other parts have the classes of training."""
    for name, values in labels.items():
        empty = [classes[label] for label in np.flatnonzero(np.bincount(values, minlength=len(classes)) == 0)]
        if empty and name == "train":
            raise DataError(
                f"{where}: class '{empty[0]}' has no images in the train part; add some or remove the class"
            )
        if empty:
            rule = f"the {name} part must have the classes of the train part"
            raise DataError(f"{where}: {rule}, got none of '{empty[0]}'; add images or remove the class")
