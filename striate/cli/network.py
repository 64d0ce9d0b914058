"""`striate summary` and `striate networks`: what a network is made of, before any training.

For a network that we build, nothing here imports torch.
"""

import json
import shutil
import sys
import textwrap
from typing import Any

from striate.core import config
from striate.core.errors import ConfigError
from striate.nets import NETWORKS, NetworkConfig
from striate.nets.graph.graph import Shape
from striate.nets.summary.summarize import summarize

IMAGES: tuple[Shape, int] = ((3, 32, 32), 10)  # CIFAR-10's, where neither the user nor the network says
_PLACE = "on the command line"


def summary(network: list[str], input_text: str | None, classes: int | None, as_json: bool) -> None:
    """Print the table of one network."""
    record = read(network)
    name = network[0].strip()
    shape, count = (NETWORKS[name].input_shape, NETWORKS[name].classes) if name in NETWORKS else IMAGES
    found = summarize(record, read_shape(input_text) if input_text else shape, classes or count)
    if as_json:
        _json({"network": record.model_dump(mode="json", exclude_defaults=True), **found.json()})
        return
    width = shutil.get_terminal_size((160, 24)).columns
    if name in NETWORKS:
        sys.stdout.write(textwrap.fill(f"{name}: {record.title}", width) + "\n\n")
    sys.stdout.write(found.text(width, color=sys.stdout.isatty()))


def networks(as_json: bool) -> None:
    """List the named networks."""
    found = [_named(name) for name in NETWORKS]
    if as_json:
        _json(found)
        return
    width = max(map(len, NETWORKS))
    sys.stdout.write(f"{'network':<{width}}  {'parameters':>11}  {'multiply-adds':>14}  {'images':<10}  classes\n")
    for one in found:
        images = "x".join(map(str, one["input_shape"]))
        numbers = f"{one['parameters']:>11,}  {one['macs']:>14,}  {images:<10}  {one['classes']:>7}"
        sys.stdout.write(f"{one['name']:<{width}}  {numbers}\n")
    sys.stdout.write("\nmultiply-adds: of one image; what one consists of: striate summary NETWORK\n")


def read(words: list[str]) -> NetworkConfig:
    """The record that the words of the command line describe: a network, or none, and then `key=value`.

    Raises:
        ConfigError: for what is not a network, with a caret under the fault.
    """
    said = words if "=" in words[0] else words[1:]  # the notation has no equals sign
    document = config.Document({} if said is words else {"layers": words[0]}, _PLACE)
    changes = dict(config.assignment(word) for word in said)
    return config.build(NetworkConfig, config.override(document, NetworkConfig, changes, _PLACE))


def read_shape(text: str) -> Shape:
    """3x32x32 as (3, 32, 32)."""
    sides = text.lower().split("x")
    if len(sides) != 3 or not all(side.isdecimal() and int(side) for side in sides):
        raise ConfigError(f"--input: must be channels x height x width, as in 3x32x32, got '{text}'")
    return tuple(int(side) for side in sides)


def _named(name: str) -> dict[str, Any]:
    named = NETWORKS[name]
    totals = summarize(NetworkConfig(**named.config), named.input_shape, named.classes).totals
    return {
        "name": name,
        "parameters": totals.parameters,
        "macs": totals.macs,
        "input_shape": list(named.input_shape),
        "classes": named.classes,
        "source": named.source,
    }


def _json(data: Any) -> None:
    json.dump(data, sys.stdout, indent=1)
    sys.stdout.write("\n")
