"""From layers to text: one spelling for each sequence of layers, without what equals its default.

A run of three or more like items is written `3x...`, so that a deep network is a line that a person reads; two
like layers in a row stay two words.
"""

from collections.abc import Sequence
from decimal import Decimal

from striate.nets.layers import (
    Activate,
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Normalize,
    Pool,
    Residual,
    Subsample,
)
from striate.nets.notation.vocabulary import ACTIVATIONS, write_words

_FOLD_FROM = 3


def write(layers: Sequence[Layer]) -> str:
    """The text that `parse` reads as `layers`."""
    return " ".join(_folded([_word(layer) for layer in layers]))


def _folded(words: list[str]) -> list[str]:
    """Runs of a repeated stretch made short: at each place the stretch that saves the most words."""
    found: list[str] = []
    at = 0
    while at < len(words):
        width, times = max(
            ((width, _times(words, at, width)) for width in range(1, (len(words) - at) // _FOLD_FROM + 1)),
            key=lambda run: (run[0] * (run[1] - 1) if run[1] >= _FOLD_FROM else 0, -run[0]),
            default=(1, 1),
        )
        if times < _FOLD_FROM:
            found.append(words[at])
            at += 1
            continue
        stretch = _folded(words[at : at + width])
        found.append(f"{times}x{stretch[0]}" if width == 1 else f"{times}x({' '.join(stretch)})")
        at += width * times
    return found


def _times(words: list[str], at: int, width: int) -> int:
    """How often the `width` words at `at` stand there one after another."""
    times = 1
    while words[at : at + width] == words[at + times * width : at + (times + 1) * width]:
        times += 1
    return times


def _word(layer: Layer) -> str:
    match layer:
        case Conv():
            sizes = _unless(3, "k", layer.kernel) + _unless(1, "s", layer.stride) + _padding(layer)
            rest = _unless(1, "d", layer.dilation) + _unless(1, "g", layer.groups)
            return f"conv{layer.filters}{sizes}{rest}{_own(write_words(layer.own))}"
        case Pool():
            rest = ("" if layer.stride is None else f"s{_sizes(layer.stride)}") + _unless(0, "p", layer.padding)
            name = "avgpool" if isinstance(layer, AveragePool) else "pool"
            return name + (_sizes(layer.kernel) if rest or layer.kernel != 2 else "") + rest
        case Subsample():
            return f"pick{_sizes(layer.size)}"
        case GlobalPool():
            return "gap"
        case Flatten():
            return "flatten" if layer.permutation is None else f"flatten~{layer.permutation}"
        case Dense():
            return f"fc{layer.units}{_own(write_words(layer.own))}"
        case Dropout():
            # All digits and no exponent: what is read back is the same number.
            return f"drop{Decimal(repr(layer.share)):f}"
        case Normalize():
            return f"{layer.norm}{layer.groups or ''}"
        case Activate():
            return layer.activation
        case Residual():
            shortcut = f" | {write(layer.shortcut)}" if layer.shortcut else ""
            after = [word for word, name in ACTIVATIONS.items() if name == layer.activation]
            return f"res({write(layer.body)}{shortcut}){_own(after)}"


def _padding(layer: Conv) -> str:
    if layer.padding is not None:
        return f"p{_sizes(layer.padding)}"
    axes = max((len(size) for size in (layer.kernel, layer.dilation) if isinstance(size, tuple)), default=1)
    # Written out where it is not the same on both sides, as the reader demands.
    return "psame" if any(before != after for before, after in layer.pads(axes)) else ""


def _own(words: list[str]) -> str:
    return f":{','.join(words)}" if words else ""


def _unless(default: int, letter: str, size: int | tuple[int, ...]) -> str:
    return "" if size == default else letter + _sizes(size)


def _sizes(size: int | tuple[int, ...]) -> str:
    return str(size) if isinstance(size, int) else f"({','.join(map(str, size))})"
