"""`striate engines`: both engines on the same weights and images, layer by layer: how far apart, and how long each takes.

The engines are strangers to each other; this command is where they meet.
"""

import json
import sys
import time
from typing import Any

import numpy as np

from striate.cli.network import IMAGES, read, read_shape
from striate.nets import NETWORKS, NetworkConfig
from striate.nets.layers import Shape
from striate.nets.resolve import resolve
from striate.nets.resolved import ResolvedLayer

IMAGES_AT_ONCE = 16
REPEATS = 5
PRECISIONS = ("float32", "float64")


def engines(network: list[str], input_text: str | None, classes: int | None, as_json: bool) -> None:
    """Print the table of one network."""
    record, name = read(network), network[0].strip()
    shape, count = (NETWORKS[name].input_shape, NETWORKS[name].classes) if name in NETWORKS else IMAGES
    shape, count = read_shape(input_text) if input_text else shape, classes or count
    rows = compare(record, shape, count)
    if as_json:
        json.dump({"images": IMAGES_AT_ONCE, "layers": rows}, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    sys.stdout.write(_table(rows))


def compare(network: NetworkConfig, shape: Shape, classes: int) -> list[dict[str, Any]]:
    """A row for each layer: the largest differences relative to the largest value, and milliseconds (the least of several).

    Every layer of both gets the same input and the same gradient, so a difference is the layer's own.

    Raises:
        NetworkError: for a network that the engine from scratch does not have.
    """
    from striate.engines.scratch.build import check

    check(network, "numpy")
    placed = resolve(network, shape, classes)
    found = [_both(network, shape, classes, placed, precision) for precision in PRECISIONS]
    return [
        {"layer": single["layer"], "output": single["output"], "float32": single["found"], "float64": double["found"]}
        for single, double in zip(*found, strict=True)
    ]


def _both(
    network: NetworkConfig, shape: Shape, classes: int, placed: tuple[ResolvedLayer, ...], precision: str
) -> list[dict[str, Any]]:
    import torch

    from striate.engines.scratch.build import build as build_by_hand
    from striate.engines.scratch.optimized.layers import OPTIMIZED
    from striate.nets.pytorch.build import build

    # Frozen parameters have no gradient to compare, and dropout draws other numbers in each.
    network = network.model_copy(update={"freeze": "none"})
    module: Any = build(network, shape, classes, 0).to(getattr(torch, precision)).train()
    chain = build_by_hand(network, shape, classes, 0, np, precision, OPTIMIZED)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((IMAGES_AT_ONCE, *shape[1:], shape[0])).astype(precision)
    after_sums = _apart_from_sums(module, [one.name for one in placed if one.body])
    rows = []
    for layer in chain.layers:
        layer.needs_input_grad = True
        if type(layer).__name__ == "Dropout":
            continue
        row, x = _one(layer, after_sums.get(layer.name) or module.get_submodule(layer.name), x, rng)
        rows.append({"layer": layer.name, "output": list(x.shape[1:]), "found": row})
    return rows


def _apart_from_sums(module: Any, blocks: list[str]) -> dict[str, Any]:
    """The activations of residual blocks, taken out of torch's blocks: by hand they are layers of their own."""
    from torch import nn

    found = {}
    for name in blocks:
        block = module.get_submodule(name)
        found[f"{name}_activation"], block.activation = block.activation, nn.Identity()
    return found


def _one(layer: Any, theirs: Any, x: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, Any], np.ndarray]:
    """One layer in both; its result by hand goes on to the next."""
    import torch

    from striate.engines.scratch.context import ForwardContext
    from striate.engines.scratch.threads import ThreadTeam

    y = layer.forward(x, ForwardContext(ThreadTeam(), len(x), is_training=True))
    g = rng.standard_normal(y.shape).astype(x.dtype)
    context = ForwardContext(ThreadTeam(), len(x), is_training=True)

    def by_hand() -> tuple[np.ndarray, np.ndarray, Any]:
        y = layer.forward(x, context)
        return y, layer.backward(g, context), context.gradients

    tensor = torch.from_numpy(_channels_first(x)).requires_grad_()

    def by_torch() -> tuple[np.ndarray, np.ndarray, Any]:
        tensor.grad = None
        theirs.zero_grad(set_to_none=True)
        result = _padded(theirs, layer, tensor)
        result.backward(torch.from_numpy(_channels_first(g)))
        learned = {f"{layer.name}.{name}": one.grad.numpy() for name, one in theirs.named_parameters()}
        return result.detach().numpy(), np.asarray(tensor.grad), learned

    (ours_y, ours_gx, ours), ours_ms = _timed(by_hand)
    (theirs_y, theirs_gx, known), theirs_ms = _timed(by_torch)
    torch_axes = {f"{one.name}.{key}": axes for one in layer.leaf_layers() for key, axes in one.torch_axes.items()}
    found = {
        "forward": _apart(_channels_first(ours_y), theirs_y),
        "input": _apart(_channels_first(ours_gx), theirs_gx),
        **{
            name.removeprefix(f"{layer.name}."): _apart(
                ours[name].transpose(torch_axes[name]) if name in torch_axes else ours[name], known[name]
            )
            for name in ours
        },
    }
    return {"difference": found, "numpy_ms": ours_ms, "torch_ms": theirs_ms}, np.array(ours_y)


def _padded(theirs: Any, layer: Any, tensor: Any) -> Any:
    """Torch's result; pads that its own layers do not add are put around the map first, as `nets.torch_build` does."""
    from torch.nn import functional

    window = getattr(layer, "window", None)
    if window is not None and any(window.pads[0] + window.pads[1]) and not any(_own_pads(theirs)):
        (top, bottom), (left, right) = window.pads
        tensor = functional.pad(tensor, (left, right, top, bottom))
    return theirs(tensor)


def _own_pads(theirs: Any) -> tuple[int, ...]:
    pads = getattr(theirs, "padding", 0)
    return pads if isinstance(pads, tuple) else (pads,)


def _timed(work: Any) -> tuple[Any, float]:
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return result, 1000 * min(seconds)


def _channels_first(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)) if array.ndim == 4 else np.ascontiguousarray(array)


def _apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.max(np.abs(ours - theirs)) / max(float(np.max(np.abs(theirs))), np.finfo(theirs.dtype).tiny))


def _table(rows: list[dict[str, Any]]) -> str:
    """Each layer in two lines, one for each precision."""
    width = max(len("layer"), *(len(row["layer"]) for row in rows))
    lines = [f"{'layer':<{width}}  {'precision':<9}  {'forward':>8}  {'numpy':>9}  {'torch':>9}  gradients"]
    for row in rows:
        for precision in PRECISIONS:
            found = row[precision]
            forward, *gradients = found["difference"].items()
            told = "  ".join(f"{name} {apart:.0e}" for name, apart in gradients)
            times = f"{found['numpy_ms']:>6.2f} ms  {found['torch_ms']:>6.2f} ms"
            lines.append(f"{row['layer']:<{width}}  {precision:<9}  {forward[1]:>8.0e}  {times}  {told}")
    lines.append(
        f"\nlargest difference of NumPy and torch, relative to the largest value, forward and for each gradient;\n"
        f"time of forward and backward of {IMAGES_AT_ONCE} images, the least of {REPEATS}; dropout is left out"
    )
    return "\n".join(lines) + "\n"
