"""The `sizes` of a study file: one question at several costs, such as `small` for a laptop and `full` for a verdict.

A size replaces values of the file, as overrides on the command line do. `arms`, `grid`, `scale`, `search`, `compare` and `claims`
are replaced as a whole.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from striate.core import config
from striate.core.config import Document, suggest
from striate.core.errors import ConfigError
from striate.core.records import Record, check_name

# The parts of a study that an arm may change.
PARTS = ("data", "network", "recipe")

# What a size leaves as it is: what identifies the study, and what Striate writes.
KEPT = {
    "question",
    "name",
    "source",
    "row",
    "sizes",
    "size",
    "left_out",
    "found",
    "replanned",
    "design",
    "looks",
    "looks_taken",
    "overridden",
}


def check_sizes(sizes: dict[str, dict[str, Any]], keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """`sizes`, if each has a name and replaces only keys of a study that may differ between sizes.

    Raises:
        ValueError: with the rule.
    """
    free = [key for key in keys if key not in KEPT]
    for name, changes in sizes.items():
        check_name(name, "a size's name")
        for dotted in changes:
            key = dotted.partition(".")[0]
            if key not in free:
                raise ValueError(f"{name}: a size cannot change '{key}'; {suggest(key, free)}")
    return sizes


def apply_size(document: Document, name: str, model: type[Record]) -> Document:
    """`document` as its size `name` has it, with the settings of data, network, recipe and arms that this changed.

    Raises:
        ConfigError: for a size that the file does not have.
    """
    sizes = document.data.get("sizes") or {}
    if not isinstance(sizes, dict) or name not in sizes:
        if document.data.get("size") == name:
            return document  # the folder of a study that was run at this size
        known = suggest(name, sizes) if sizes else "it has no 'sizes'"
        raise ConfigError(f"{document.name}: has no size '{name}'; {known}")
    changes = sizes[name] or {}
    if not isinstance(changes, dict):
        raise ConfigError(
            f"{document.location(('sizes', name))}: sizes.{name}: must be keys and values, got {changes!r}"
        )
    before = document.data.get("arms")
    for dotted, value in changes.items():
        location = document.location(("sizes", name, dotted))
        document = config.override(document, model, {dotted: value}, f"{location}: size '{name}'")
    data = {**{key: value for key, value in document.data.items() if key != "sizes"}, "size": name}
    settings = _settings(changes)
    if changed := _changed_arms(before, data.get("arms")):
        settings["arms"] = f"other settings of {' and '.join(changed)}"
    return replace(document, data={**data, "overridden": settings} if settings else data)


def note_overrides(document: Document, overrides: Mapping[str, Any]) -> Document:
    """`document` with the settings that the command line changed among its values, where claims are judged."""
    settings = _settings(overrides)
    if not settings or not document.data.get("claims"):
        return document
    data = {**document.data, "overridden": {**document.data.get("overridden", {}), **settings}}
    return replace(document, data=data)


def _settings(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of data, network and recipe. Where the images lie is none."""
    settings = {key: value for key, value in changes.items() if key.split(".")[0] in PARTS and key != "data.source"}
    return {key: value for key, value in settings.items() if key != "data" or not isinstance(value, str)}


def _changed_arms(before: Any, after: Any) -> list[str]:
    """The arms of both whose settings differ."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    return [name for name in after if name in before and (after[name] or {}) != (before[name] or {})]
