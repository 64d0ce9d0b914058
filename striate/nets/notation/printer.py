"""From layers to text: one spelling for each sequence of layers, without settings that equal their default.

Three or more equal items in a row are written `3x...`, so that a deep network is a readable line; two stay two words.
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
from striate.nets.notation.vocabulary import ACTIVATIONS, write_overrides

_FOLD_FROM = 3


def write(layers: Sequence[Layer]) -> str:
    """The text that `parse` reads as `layers`."""
    return " ".join(_folded([_word(layer) for layer in layers]))


def _folded(words: list[str]) -> list[str]:
    """Repetitions written once: at each position the one that saves the most words."""
    shorter: list[str] = []
    at = 0
    while at < len(words):
        width, times = max(
            ((width, _times(words, at, width)) for width in range(1, (len(words) - at) // _FOLD_FROM + 1)),
            key=lambda folds: (folds[0] * (folds[1] - 1) if folds[1] >= _FOLD_FROM else 0, -folds[0]),
            default=(1, 1),
        )
        if times < _FOLD_FROM:
            shorter.append(words[at])
            at += 1
            continue
        repeated = _folded(words[at : at + width])
        shorter.append(f"{times}x{repeated[0]}" if width == 1 else f"{times}x({' '.join(repeated)})")
        at += width * times
    return shorter


def _times(words: list[str], at: int, width: int) -> int:
    """How often the `width` words at `at` are repeated without a gap."""
    times = 1
    while words[at : at + width] == words[at + times * width : at + (times + 1) * width]:
        times += 1
    return times


def _word(layer: Layer) -> str:
    match layer:
        case Conv():
            sizes = _unless(3, "k", layer.kernel) + _unless(1, "s", layer.stride) + _padding(layer)
            rest = _unless(1, "d", layer.dilation) + _unless(1, "g", layer.groups)
            return f"conv{layer.filters}{sizes}{rest}{_after_colon(write_overrides(layer.overrides))}"
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
            return f"fc{layer.units}{_after_colon(write_overrides(layer.overrides))}"
        case Dropout():
            # All digits and no exponent, so that the same number is read back.
            return f"drop{Decimal(repr(layer.share)):f}"
        case Normalize():
            return f"{layer.norm}{layer.groups or ''}"
        case Activate():
            return layer.activation
        case Residual():
            shortcut = f" | {write(layer.shortcut)}" if layer.shortcut else ""
            activation = [word for word, name in ACTIVATIONS.items() if name == layer.activation]
            return f"res({write(layer.body)}{shortcut}){_after_colon(activation)}"


def _padding(layer: Conv) -> str:
    if layer.padding is not None:
        return f"p{_sizes(layer.padding)}"
    axes = max((len(size) for size in (layer.kernel, layer.dilation) if isinstance(size, tuple)), default=1)
    # Written out where it is not the same on both sides, as the parser requires.
    return "psame" if any(before != after for before, after in layer.pads(axes)) else ""


def _after_colon(words: list[str]) -> str:
    return f":{','.join(words)}" if words else ""


def _unless(default: int, letter: str, size: int | tuple[int, ...]) -> str:
    return "" if size == default else letter + _sizes(size)


def _sizes(size: int | tuple[int, ...]) -> str:
    return str(size) if isinstance(size, int) else f"({','.join(map(str, size))})"
