"""The names of arms that a grid or a scale makes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from striate.core.errors import ConfigError
from striate.core.records import printable


def name_arms(
    keys: Sequence[str] | Mapping[str, Any], rows: Iterable[Sequence[Any]], kind: str
) -> dict[str, dict[str, Any]]:
    """An arm for each row of values, named by the last word of each key: `norm=batch lr=0.1`."""
    arms: dict[str, dict[str, Any]] = {}
    for values in rows:
        changes = dict(zip(keys, values, strict=True))
        name = " ".join(f"{key.rpartition('.')[2]}={short(value)}" for key, value in changes.items())
        if name in arms:
            raise ConfigError(f"{kind}: '{name}' comes out twice; give each value once")
        arms[name] = changes
    return arms


def short(value: Any) -> str:
    """A value of a grid as the names of its arms have it."""
    if isinstance(value, dict):
        inside = ", ".join(f"{key}={short(item)}" for key, item in value.items() if key != "name")
        return f"{value['name']}({inside})" if "name" in value else inside
    return printable(str(value), keep="")
