"""From text to layers. Every error is a NetworkError with a caret under the character at fault.

layers   = item { item }                               separated by spaces
item     = [ COUNT "x" ] ( word | "res(" layers [ "|" layers ] ")" [ ":" activation ] )
         | COUNT "x(" layers ")"
word     = KIND [ sizes ] { LETTER sizes } [ ":" override { "," override } ]      `vocabulary.WORDS` has the overrides
sizes    = NUMBER | "(" NUMBER { "," NUMBER } ")"
"""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.nets.layers import Activation, Layer, Residual, per_axis
from striate.nets.notation.cursor import Cursor
from striate.nets.notation.vocabulary import ACTIVATIONS, ALONE, KINDS, WORDS, norm_or_activation, read_override

# Repetitions multiply; more layers than this are a typing mistake, and would fill the memory before any other error.
MAX_LAYERS = 2000
# Parentheses inside parentheses; deeper ones would exceed Python's recursion limit.
MAX_DEPTH = 50

# In the place of a field's name, where that would not be understood.
_FIELD_NAMES = {"filters": "number of filters", "units": "number of units", "share": "share to drop"}


def parse(text: str) -> tuple[Layer, ...]:
    """The layers that `text` names.

    Raises:
        NetworkError: with a caret under the character that cannot be read.
    """
    if not text.strip():
        raise NetworkError("the notation names no layer; write something like 'conv32 pool conv64 pool fc128'")
    cursor = Cursor(text)
    layers = _layers(cursor, depth=0)
    if not cursor.has_ended:
        mistake = (
            "closes nothing" if cursor.is_at(r"\)") else "separates a shortcut, and stands in res( ... | ... ) only"
        )
        raise cursor.error(f"'{cursor.text[cursor.at]}' {mistake}")
    return layers


def _layers(cursor: Cursor, depth: int) -> tuple[Layer, ...]:
    """Items up to the end, a closing parenthesis or a bar."""
    layers: list[Layer] = []
    count = 0
    cursor.take(r"\s*")
    while not cursor.has_ended and not cursor.is_at(r"[)|]"):
        start = cursor.at
        times, repeated = _item(cursor, depth)
        count += times * _count(repeated)
        if count > MAX_LAYERS:
            raise cursor.error(f"more than {MAX_LAYERS} layers", start)
        layers += times * repeated
        if not cursor.take(r"\s+") and not cursor.has_ended and not cursor.is_at(r"[)|]"):
            raise cursor.error("layers are separated by spaces")
    return tuple(layers)


def _count(layers: Iterable[Layer]) -> int:
    """How many layers there are, those inside residual blocks included."""
    return sum(
        1 + _count(layer.body) + _count(layer.shortcut) if isinstance(layer, Residual) else 1 for layer in layers
    )


def _item(cursor: Cursor, depth: int) -> tuple[int, tuple[Layer, ...]]:
    """How often the next layers are repeated, and these layers."""
    start, prefix = cursor.at, cursor.take(r"\d+x(?=[\w(])")
    times = _times(cursor, prefix, start) if prefix else 1
    if cursor.is_at(r"res\b"):
        return times, (_residual(cursor, depth + 1),)
    if cursor.is_at(r"\("):
        if not prefix:
            raise cursor.error("a group is repeated, 3x(...), or a residual block, res(...)")
        return times, _group(cursor, start, depth + 1)
    return times, (_word(cursor),)


def _times(cursor: Cursor, prefix: str, start: int) -> int:
    digits = prefix[:-1]
    # Compared by its length first: Python refuses to convert thousands of digits.
    if len(digits) > len(str(MAX_LAYERS)) or not 1 <= int(digits) <= MAX_LAYERS:
        shown = prefix if len(prefix) <= 20 else f"{prefix[:20]}..."
        raise cursor.error(f"'{shown}': repeats from 1 to {MAX_LAYERS} times", start)
    return int(digits)


def _open(cursor: Cursor, depth: int) -> int:
    """Read a parenthesis; where it stands."""
    opened = cursor.at
    if depth > MAX_DEPTH:
        raise cursor.error(f"more than {MAX_DEPTH} parentheses inside each other")
    cursor.take(r"\(")
    return opened


def _close(cursor: Cursor, opened: int) -> None:
    if cursor.is_at(r"\|"):
        raise cursor.error("'|' separates the shortcut of res( ... | ... ), once")
    if not cursor.take(r"\)"):
        raise cursor.error("this parenthesis is not closed", opened)


def _group(cursor: Cursor, start: int, depth: int) -> tuple[Layer, ...]:
    opened = _open(cursor, depth)
    layers = _layers(cursor, depth)
    _close(cursor, opened)
    if not layers:
        raise cursor.error("nothing to repeat", start)
    return layers


def _residual(cursor: Cursor, depth: int) -> Residual:
    start = cursor.at
    cursor.take("res")
    if not cursor.is_at(r"\("):
        raise cursor.error("res is followed by its layers in parentheses, as in res(conv64 conv64)")
    opened = _open(cursor, depth)
    body = _layers(cursor, depth)
    bar = cursor.at
    has_bar = bool(cursor.take(r"\|"))
    shortcut = _layers(cursor, depth) if has_bar else ()
    _close(cursor, opened)
    if not body:
        raise cursor.error("a residual block needs layers, as in res(conv64 conv64)", start)
    if has_bar and not shortcut:
        raise cursor.error("after the bar come the layers of the shortcut; leave the bar out for none", bar)
    return Residual(body=body, shortcut=shortcut, activation=_activation_after_sum(cursor))


def _activation_after_sum(cursor: Cursor) -> Activation | None:
    if not cursor.take(":"):
        return None
    start, word = cursor.at, cursor.take(r"\w*")
    if word not in ACTIVATIONS:
        raise cursor.error(f"'{word}': after res(...) comes its activation; {suggest(word, ACTIVATIONS)}", start)
    return ACTIVATIONS[word]


def _word(cursor: Cursor) -> Layer:
    start = cursor.at
    if layer := norm_or_activation(cursor.take(r"\w+")):
        return layer
    cursor.at = start
    kind = cursor.take(r"[a-z]+")
    if kind not in KINDS:
        cursor.at = start
        suggestion = suggest(kind or cursor.word(), [*KINDS, "res", *ALONE])
        raise cursor.error(f"'{cursor.word()}' is not a layer; {suggestion}")
    return _WordReader(cursor, kind, start).read()


class _WordReader:
    """One layer that began at `start` and whose kind `name` has been read."""

    def __init__(self, cursor: Cursor, name: str, start: int) -> None:
        self.cursor, self.name, self.kind, self.start = cursor, name, KINDS[name], start
        self.fields: dict[str, Any] = {}
        self.offsets: dict[str, int] = {}  # where each field stands in the text

    def read(self) -> Layer:
        cursor = self.cursor
        self._read_number()
        self._read_options()
        if cursor.is_at(":"):
            self.fields["overrides"] = self._read_overrides()
        if not cursor.has_ended and not cursor.is_at(r"[\s()|]"):
            raise self._unexpected()
        self._require_padding_of_even_kernel()
        try:
            return self.kind.record(**self.fields)
        except ValidationError as error:
            raise self._invalid(error) from error

    def _read_number(self) -> None:
        """The number right after the kind."""
        cursor, kind, at = self.cursor, self.kind, self.cursor.at
        number: int | float | tuple[int, ...] | None
        if self.name == "drop":
            text = cursor.take(r"\d*\.?\d+")
            number = float(text) if text else None
        elif self.name == "flatten":
            tilde, number = cursor.take("~"), cursor.number()
            if bool(tilde) != (number is not None):
                raise cursor.error(f"'{self.name}' is written {kind.example}", at)
        else:
            number = cursor.sizes() if kind.number in {"kernel", "size"} else cursor.number()
        if number is None and kind.is_number_required:
            field = _FIELD_NAMES[kind.number]
            raise cursor.error(f"'{self.name}' is followed by its {field}, as in {kind.example}", at)
        if number is not None and not kind.number:
            raise cursor.error(f"'{self.name}' takes no number", at)
        if number is not None:
            self.fields[kind.number], self.offsets[kind.number] = number, at

    def _read_options(self) -> None:
        """Letters with their sizes, in any order."""
        cursor = self.cursor
        letters = {option[0]: option for option in self.kind.options}
        while cursor.is_at("[A-Za-z]"):
            at = cursor.at
            if cursor.text[at] not in letters:
                raise self._unexpected()
            option = letters[cursor.text[at]]
            cursor.at += 1
            if option in self.fields:
                raise cursor.error(f"{option} is given twice", at)
            self.fields[option], self.offsets[option] = self._read_option(option, at), at

    def _read_option(self, option: str, at: int) -> int | tuple[int, ...] | None:
        cursor = self.cursor
        if option == "padding" and cursor.take("same"):
            if self.name != "conv":
                raise cursor.error("'same' is for conv; a pool is padded by a number, as in pool3s2p1", at)
            return None
        if option == "padding" and cursor.take("valid"):
            return 0
        sizes = cursor.number() if option == "groups" else cursor.sizes()
        if sizes is None:
            words = ", or psame or pvalid" if (self.name, option) == ("conv", "padding") else ""
            raise cursor.error(f"'{option[0]}' ({option}) is followed by a number, as in {option[0]}2{words}", at)
        return sizes

    def _read_overrides(self) -> dict[str, Any]:
        """The words after the colon."""
        cursor = self.cursor
        if not self.kind.has_overrides:
            raise cursor.error(f"'{self.name}' has no norm, activation, init or bias; only conv, fc and res do")
        overrides: dict[str, Any] = {}
        cursor.take(":")
        while True:
            at, word = cursor.at, cursor.take(r"\w*")
            try:
                fields = read_override(word)
            except KeyError:
                mistake = f"'{word}' is not" if word else "after the colon and each comma comes"
                raise cursor.error(f"{mistake} a norm, activation, init or bias; {suggest(word, WORDS)}", at) from None
            if overrides.keys() & fields.keys():
                raise cursor.error(f"'{word}': {next(iter(fields)).replace('_', ' ')} is given twice", at)
            if fields.get("norm_groups") == 0:
                raise cursor.error(f"'{word}': group norm needs at least one group", at)
            overrides |= fields
            if not cursor.take(","):
                return overrides

    def _require_padding_of_even_kernel(self) -> None:
        """No default: half of the readers would expect no padding, and half one more pixel on one side."""
        if self.name != "conv" or "padding" in self.fields:
            return
        kernel, dilation = self.fields.get("kernel", 3), self.fields.get("dilation", 1)
        axes = max((len(size) for size in (kernel, dilation) if isinstance(size, tuple)), default=1)
        spans = [d * (k - 1) for k, d in zip(per_axis(kernel, axes), per_axis(dilation, axes), strict=False)]
        if any(span % 2 for span in spans):
            raise self.cursor.error(
                "no even padding keeps the size with an even kernel; write p0, or psame for one more pixel at the end",
                self.offsets.get("kernel"),
            )

    def _unexpected(self) -> NetworkError:
        options = ", ".join(f"{option[0]} ({option})" for option in self.kind.options)
        letters = f"; its letters are {options}" if options else ""
        character = self.cursor.text[self.cursor.at]
        return self.cursor.error(
            f"'{character}' cannot be read here: '{self.name}' is written {self.kind.example}{letters}"
        )

    def _invalid(self, error: ValidationError) -> NetworkError:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        name = _FIELD_NAMES.get(field, field)
        return self.cursor.error(f"{name} must be {rule}, got {first['input']}", self.offsets.get(field, self.start))
