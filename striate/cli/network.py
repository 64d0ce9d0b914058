"""`striate summary` and `striate networks`: the layers of a network, and the list of named networks.

For a network that Striate builds, nothing here imports torch.
"""

import shutil
import sys
import textwrap
from typing import Any

from striate.cli.output import plain_json
from striate.core import config
from striate.core.errors import ConfigError
from striate.nets import NETWORKS, NetworkConfig
from striate.nets.layers import Shape, shape_text
from striate.nets.summary.summarize import summarize

# The shape of the images and the number of classes, where neither the user nor the network gives them: CIFAR-10's.
IMAGES: tuple[Shape, int] = ((3, 32, 32), 10)
# The receptive fields are held for each row and column of the image.
MAX_SIDE = 100_000
_PLACE = "on the command line"
_NETWORKS_LEGEND = """\
parameters     weights, biases, scales and shifts
multiply-adds  of one image through conv and fc layers and matrix products; biases, norms, activations and pools count 0
images         channels x rows x columns for which the network was published
classes        the number of classes for which it was published
"""


def summary(network: list[str], input_text: str | None, classes: int | None, as_json: bool, explain: bool) -> None:
    """Print the table of one network; `explain`: with what each column means."""
    record = read(network)
    name = network[0].strip()
    shape, count = (NETWORKS[name].input_shape, NETWORKS[name].classes) if name in NETWORKS else IMAGES
    layers = summarize(record, read_shape(input_text) if input_text else shape, classes or count)
    if as_json:
        plain_json({"network": record.model_dump(mode="json", exclude_defaults=True), **layers.json()})
        return
    width = shutil.get_terminal_size((160, 24)).columns
    if name in NETWORKS:
        sys.stdout.write(textwrap.fill(f"{name}: {record.title}", width) + "\n\n")
    sys.stdout.write(layers.text(width, color=sys.stdout.isatty(), legend=explain))


def networks(as_json: bool, explain: bool) -> None:
    """List the named networks; `explain`: with what each column means."""
    rows = [_named(name) for name in NETWORKS]
    if as_json:
        plain_json(rows)
        return
    width = max(map(len, NETWORKS))
    sys.stdout.write(f"{'network':<{width}}  {'parameters':>11}  {'multiply-adds':>14}  {'images':<10}  classes\n")
    for row in rows:
        images = shape_text(row["input_shape"])
        numbers = f"{row['parameters']:>11,}  {row['macs']:>14,}  {images:<10}  {row['classes']:>7}"
        sys.stdout.write(f"{row['name']:<{width}}  {numbers}\n")
    if explain:
        sys.stdout.write(f"\n{_NETWORKS_LEGEND}")


def read(words: list[str]) -> NetworkConfig:
    """The network that `words` give: its notation or name (or nothing), then `key=value`.

    Raises:
        ConfigError: for what is not a network, with a caret under the character at fault.
    """
    has_keys_only = "=" in words[0]  # the notation has no equals sign
    document = config.Document({} if has_keys_only else {"layers": words[0]}, _PLACE)
    changes = dict(config.assignment(word) for word in (words if has_keys_only else words[1:]))
    return config.build(NetworkConfig, config.override(document, NetworkConfig, changes, _PLACE))


def read_shape(text: str) -> Shape:
    """3x32x32 as (3, 32, 32).

    Raises:
        ConfigError: for anything but three numbers from 1 to MAX_SIDE.
    """
    sides = [side.lstrip("0") for side in text.lower().split("x")]
    if len(sides) != 3 or not all(side.isdecimal() for side in sides):
        raise ConfigError(f"--input: must be channels x height x width, as in 3x32x32, got '{text:.40}'")
    for side in sides:
        if len(side) > len(str(MAX_SIDE)) or int(side) > MAX_SIDE:
            raise ConfigError(
                f"--input: a side is at most {MAX_SIDE:,} pixels, got {side:.20}{'...' * (len(side) > 20)}"
            )
    return tuple(int(side) for side in sides)


def _named(name: str) -> dict[str, Any]:
    named = NETWORKS[name]
    totals = summarize(NetworkConfig(**named.config), named.input_shape, named.classes).table.totals
    return {
        "name": name,
        "parameters": totals.parameters,
        "macs": totals.macs,
        "input_shape": list(named.input_shape),
        "classes": named.classes,
        "source": named.source,
    }
