"""The notation: layers as words, read into records and written back.

    conv64      64 filters, 3x3, stride 1, size kept       conv64k5s2p0   5x5, stride 2, no padding
    pool        max pool 2x2                               pool3          3x3
    gap         global average pool                        fc128          fully connected, 128 units
    drop0.5     dropout of half the activations

`write(parse(text))` is the shortest spelling, and `parse(write(layers)) == layers`.
"""

import re
from collections.abc import Callable

from pydantic import ValidationError

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.nets.layers import Conv, Dense, Dropout, GlobalPool, Layer, Pool

_OPTIONS = {"k": "kernel", "s": "stride", "p": "padding"}
_KINDS = ("conv", "pool", "gap", "fc", "drop")


def parse(text: str) -> tuple[Layer, ...]:
    """The layers that `text` names.

    Raises:
        NetworkError: with a caret under the word that cannot be read.
    """
    layers = tuple(_layer(text, match.start(), match.group()) for match in re.finditer(r"\S+", text))
    if not layers:
        raise NetworkError("the notation names no layer; write something like 'conv32 pool conv64 pool fc128'")
    return layers


def write(layers: tuple[Layer, ...]) -> str:
    """The shortest text that `parse` reads as `layers`."""
    return " ".join(_word(layer) for layer in layers)


def _layer(text: str, at: int, word: str) -> Layer:
    kind = next((kind for kind in _KINDS if word.startswith(kind)), None)
    if kind is None:
        raise _error(text, at, f"'{word}' is not a layer; {suggest(re.sub(r'[^a-z].*', '', word) or word, _KINDS)}")
    try:
        return _READERS[kind](word.removeprefix(kind))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else kind
        rule = first["msg"].removeprefix("Input should be ")
        raise _error(text, at, f"'{word}': {name} must be {rule}, got {first['input']}") from error
    except ValueError as error:
        raise _error(text, at + len(kind), f"'{word}': {error}") from error


def _read_conv(rest: str) -> Conv:
    found = re.fullmatch(r"(\d+)((?:[a-z]+\d*)*)", rest)
    if not found:
        raise ValueError("conv is followed by its number of filters, as in conv64 or conv64k5s2p0")
    options: dict[str, int] = {}
    for letter, number in re.findall(r"([a-z]+)(\d*)", found[2]):
        if letter not in _OPTIONS or not number:
            raise ValueError("after the filters come kKERNEL, sSTRIDE and pPADDING, as in conv64k5s2p0")
        if _OPTIONS[letter] in options:
            raise ValueError(f"{letter} is given twice")
        options[_OPTIONS[letter]] = int(number)
    kernel = options.get("kernel", 3)
    if kernel % 2 == 0 and "padding" not in options:
        raise ValueError(f"an even kernel has no padding that keeps the size; say it, as in k{kernel}p0")
    return Conv(filters=int(found[1]), **options)


def _read_pool(rest: str) -> Pool:
    if not re.fullmatch(r"\d*", rest):
        raise ValueError("pool is followed by its size or nothing, as in pool or pool3")
    return Pool(kernel=int(rest)) if rest else Pool()


def _read_gap(rest: str) -> GlobalPool:
    if rest:
        raise ValueError("gap takes no number")
    return GlobalPool()


def _read_fc(rest: str) -> Dense:
    if not re.fullmatch(r"\d+", rest):
        raise ValueError("fc is followed by its number of units, as in fc128")
    return Dense(units=int(rest))


def _read_drop(rest: str) -> Dropout:
    if not re.fullmatch(r"\d*\.?\d+", rest):
        raise ValueError("drop is followed by the share to drop, as in drop0.5")
    return Dropout(share=float(rest))


_READERS: dict[str, Callable[[str], Layer]] = {
    "conv": _read_conv,
    "pool": _read_pool,
    "gap": _read_gap,
    "fc": _read_fc,
    "drop": _read_drop,
}


def _word(layer: Layer) -> str:
    match layer:
        case Conv():
            kernel = f"k{layer.kernel}" if layer.kernel != 3 else ""
            stride = f"s{layer.stride}" if layer.stride != 1 else ""
            same = layer.kernel % 2 == 1 and layer.pad == (layer.kernel - 1) // 2
            return f"conv{layer.filters}{kernel}{stride}{'' if same else f'p{layer.pad}'}"
        case Pool():
            return "pool" if layer.kernel == 2 else f"pool{layer.kernel}"
        case GlobalPool():
            return "gap"
        case Dense():
            return f"fc{layer.units}"
        case Dropout():
            return f"drop{layer.share:g}"


def _error(text: str, at: int, message: str) -> NetworkError:
    # Long networks are cut around the fault, so that the caret stays under it on a terminal.
    start = max(0, at - 40)
    excerpt = ("..." if start else "") + text[start : at + 40].replace("\n", " ")
    caret = " " * (at - start + (3 if start else 0)) + "^"
    return NetworkError(f"{message}\n  {excerpt}\n  {caret}")
