"""`striate engines`: the table of both engines, layer by layer."""

import dataclasses
import sys

from striate.cli.network import IMAGES, read, read_shape
from striate.cli.output import plain_json
from striate.engines import compare
from striate.nets import NETWORKS


def engines(network: list[str], input_text: str | None, classes: int | None, as_json: bool) -> None:
    """The command."""
    config, name = read(network), network[0].strip()
    shape, count = (NETWORKS[name].input_shape, NETWORKS[name].classes) if name in NETWORKS else IMAGES
    shape, count = read_shape(input_text) if input_text else shape, classes or count
    comparisons = compare.compare(config, shape, count)
    if as_json:
        plain_json({"images": compare.IMAGES, "layers": [dataclasses.asdict(layer) for layer in comparisons]})
        return
    sys.stdout.write(_table(comparisons))  # not wrapped to the width of the terminal


def _table(comparisons: list[compare.LayerComparison]) -> str:
    """Two lines for each layer, one for each precision."""
    width = max(len("layer"), *(len(comparison.layer) for comparison in comparisons))
    lines = [f"{'layer':<{width}}  {'precision':<9}  {'forward':>8}  {'numpy':>9}  {'torch':>9}  gradients"]
    for comparison in comparisons:
        for precision in compare.PRECISIONS:
            agreement: compare.Agreement = getattr(comparison, precision)
            (_, forward), *gradients = agreement.difference.items()
            cells = "  ".join(f"{name} {difference:.0e}" for name, difference in gradients)
            times = f"{agreement.numpy_ms:>6.2f} ms  {agreement.torch_ms:>6.2f} ms"
            lines.append(f"{comparison.layer:<{width}}  {precision:<9}  {forward:>8.0e}  {times}  {cells}")
    lines.append(
        "\nlargest difference between NumPy and torch, relative to the largest value: of the output and of each gradient;\n"
        f"time of forward and backward for {compare.IMAGES} images, the fastest of {compare.REPEATS}; dropout is left out"
    )
    return "\n".join(lines) + "\n"
