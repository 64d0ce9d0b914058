"""One word of the notation: its kind, its main number, its lettered options and what it says for itself.

`KINDS` is the whole vocabulary; reader and writer go by it.

The words after a layer's colon, and the records that they stand for; reader and writer share this table.
"""

import re
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.nets.layers import (
    Activate,
    Activation,
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Init,
    Layer,
    LayerOverrides,
    Norm,
    Normalize,
    Pool,
    Subsample,
    per_axis,
)
from striate.nets.notation.cursor import Cursor


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a kind of layer is spelled."""

    record: type[Layer]
    main: str = ""  # the field of the number right behind the kind
    needed: bool = False  # whether that number must be given
    example: str
    options: tuple[str, ...] = ()  # their first letter is how they are written
    has_own: bool = False


_WINDOW = ("kernel", "stride", "padding", "dilation", "groups")
KINDS: dict[str, Kind] = {
    "conv": Kind(
        record=Conv, main="filters", needed=True, example="conv64 or conv64k5s2p0", options=_WINDOW, has_own=True
    ),
    "pool": Kind(record=Pool, main="kernel", example="pool, pool3 or pool3s2p1", options=("stride", "padding")),
    "avgpool": Kind(
        record=AveragePool, main="kernel", example="avgpool or avgpool3s2p1", options=("stride", "padding")
    ),
    "pick": Kind(record=Subsample, main="size", example="pick2"),
    "gap": Kind(record=GlobalPool, example="gap"),
    "flatten": Kind(record=Flatten, main="permutation", example="flatten, or flatten~7 for the random order number 7"),
    "fc": Kind(record=Dense, main="units", needed=True, example="fc128", has_own=True),
    "drop": Kind(record=Dropout, main="share", needed=True, example="drop0.5"),
}


def read_layer(cursor: Cursor, name: str, start: int) -> Layer:
    """The layer of kind `name` that began at `start`; `cursor` is behind the kind."""
    kind = KINDS[name]
    said: dict[str, Any] = {}
    places: dict[str, int] = {}
    _main(cursor, name, said, places)
    _options(cursor, name, said, places)
    if cursor.see(":"):
        said["own"] = _own(cursor, name)
    if not cursor.ended and not cursor.see(r"[\s()|]"):
        raise _unread(cursor, name)
    _even_needs_padding(cursor, said, places)
    try:
        return kind.record(**said)
    except ValidationError as error:
        raise _invalid(cursor, error, places, start) from error


def _main(cursor: Cursor, name: str, said: dict[str, Any], places: dict[str, int]) -> None:
    kind, at = KINDS[name], cursor.at
    if name == "drop":
        number: Any = cursor.take(r"\d*\.?\d+")
        number = float(number) if number else None
    elif name == "flatten":
        tilde = cursor.take("~")
        number = _number(cursor)
        if bool(tilde) != (number is not None):
            raise cursor.error(f"'{name}' is written {kind.example}", at)
    else:
        number = _sizes(cursor) if kind.main in {"kernel", "size"} else _number(cursor)
    if number is None and kind.needed:
        raise cursor.error(f"'{name}' is followed by its {_PLAIN[kind.main]}, as in {kind.example}", at)
    if number is not None and not kind.main:
        raise cursor.error(f"'{name}' takes no number", at)
    if number is not None:
        said[kind.main], places[kind.main] = number, at


def _options(cursor: Cursor, name: str, said: dict[str, Any], places: dict[str, int]) -> None:
    letters = {option[0]: option for option in KINDS[name].options}
    while cursor.see("[A-Za-z]"):
        at = cursor.at
        if cursor.text[at] not in letters:
            raise _unread(cursor, name)
        option = letters[cursor.text[at]]
        cursor.at += 1
        if option in said:
            raise cursor.error(f"{option} is given twice", at)
        if option == "padding" and cursor.take("same"):
            if name != "conv":
                raise cursor.error("'same' is for conv; a pool is padded by a number, as in pool3s2p1", at)
            said[option] = None
        elif option == "padding" and cursor.take(r"valid"):
            said[option] = 0
        else:
            said[option] = _number(cursor) if option == "groups" else _sizes(cursor)
            if said[option] is None:
                words = ", or psame or pvalid" if (name, option) == ("conv", "padding") else ""
                raise cursor.error(f"'{option[0]}' ({option}) is followed by a number, as in {option[0]}2{words}", at)
        places[option] = at


def _own(cursor: Cursor, name: str) -> dict[str, Any]:
    if not KINDS[name].has_own:
        raise cursor.error(f"'{name}' has no norm, activation, init or bias; only conv, fc and res do")
    said: dict[str, Any] = {}
    cursor.take(":")
    while True:
        at, word = cursor.at, cursor.take(r"\w*")
        try:
            new = read_word(word)
        except KeyError:
            what = f"'{word}' is not" if word else "after the colon and each comma comes"
            raise cursor.error(f"{what} a norm, activation, init or bias; {suggest(word, WORDS)}", at) from None
        if said.keys() & new.keys():
            raise cursor.error(f"'{word}': {next(iter(new)).replace('_', ' ')} is given twice", at)
        if new.get("norm_groups") == 0:
            raise cursor.error(f"'{word}': group norm needs at least one group", at)
        said |= new
        if not cursor.take(","):
            return said


def _number(cursor: Cursor) -> int | None:
    text = cursor.take(r"\d{1,9}")
    return int(text) if text else None


def _sizes(cursor: Cursor) -> int | tuple[int, ...] | None:
    if not cursor.see(r"\("):
        return _number(cursor)
    at = cursor.at
    text = cursor.take(r"\(\s*\d{1,9}(\s*,\s*\d{1,9})*\s*\)")
    if not text:
        raise cursor.error("sizes per axis are numbers with commas between, as in (2,2,1)", at)
    return tuple(int(number) for number in text.strip("()").split(","))


def _even_needs_padding(cursor: Cursor, said: dict[str, Any], places: dict[str, int]) -> None:
    """Refuse to guess: half of the readers expect no padding, and half one more pixel on one side."""
    if "filters" not in said or "padding" in said:
        return
    kernel, dilation = said.get("kernel", 3), said.get("dilation", 1)
    axes = max((len(size) for size in (kernel, dilation) if isinstance(size, tuple)), default=1)
    spans = [d * (k - 1) for k, d in zip(per_axis(kernel, axes), per_axis(dilation, axes), strict=False)]
    if any(span % 2 for span in spans):
        raise cursor.error(
            "no even padding keeps the size with an even kernel; say p0, or psame for one more pixel at the end",
            places.get("kernel"),
        )


def _unread(cursor: Cursor, name: str) -> NetworkError:
    options = ", ".join(f"{option[0]} ({option})" for option in KINDS[name].options)
    letters = f"; its letters are {options}" if options else ""
    what = f"'{cursor.text[cursor.at]}' is not read here"
    return cursor.error(f"{what}: '{name}' is written {KINDS[name].example}{letters}")


def _invalid(cursor: Cursor, error: ValidationError, places: dict[str, int], start: int) -> NetworkError:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return cursor.error(f"{_PLAIN.get(field, field)} must be {rule}, got {first['input']}", places.get(field, start))


_PLAIN = {"filters": "number of filters", "units": "number of units", "share": "share to drop"}


ACTIVATIONS: dict[str, Activation] = {("noact" if name == "none" else name): name for name in get_args(Activation)}
_NORMS: dict[str, Norm] = {("nonorm" if name == "none" else name): name for name in get_args(Norm)}

# Word to field and value. Every value of a field has one word, and every word one field.
WORDS: dict[str, tuple[str, Any]] = {
    **{word: ("norm", name) for word, name in _NORMS.items()},
    "normbefore": ("norm_position", "before"),
    "normafter": ("norm_position", "after"),
    **{word: ("activation", name) for word, name in ACTIVATIONS.items()},
    **{name: ("init", name) for name in get_args(Init)},
    "bias": ("bias", True),
    "nobias": ("bias", False),
    "zerobias": ("zero_bias", True),
    "drawnbias": ("zero_bias", False),
}


def read_alone(word: str) -> Normalize | Activate | None:
    """The layer that a norm's or an activation's own name is, where it stands as a layer."""
    if found := re.fullmatch(r"group([1-9]\d*)", word):
        return Normalize(norm="group", groups=int(found[1]))
    field, value = WORDS.get(word, ("", "none"))
    if value == "none" or field not in {"norm", "activation"}:
        return None
    return Normalize(norm=value) if field == "norm" else Activate(activation=value)


ALONE = tuple(word for word in WORDS if read_alone(word))


def read_word(word: str) -> dict[str, Any]:
    """The fields of `LayerOverrides` that `word` sets; KeyError for an unknown word. `group8` sets two."""
    if found := re.fullmatch(r"group(\d+)", word):
        return {"norm": "group", "norm_groups": int(found[1])}
    field, value = WORDS[word]
    return {field: value}


def write_words(own: LayerOverrides) -> list[str]:
    """The words of `own`, in the order of its fields."""
    spoken = {(field, value): word for word, (field, value) in WORDS.items()}
    said = {field: value for field in type(own).model_fields if (value := getattr(own, field)) is not None}
    groups = said.pop("norm_groups", "")
    words = [spoken[field, value] for field, value in said.items()]
    return [f"{word}{groups}" if word == "group" else word for word in words]
