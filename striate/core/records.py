"""Frozen records, checked when made, the fingerprint that decides what is the same, and names that are safe to print.

A record refuses unknown keys. Its fingerprint depends on what the fields mean: not on their order,
not on a field that equals its default (so that a new field with a default leaves old runs valid),
and not on a field marked `location_field()` (a path, a device: where, not what).
"""

import hashlib
import json
import unicodedata
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from striate.core.errors import ConfigError, StriateError

_LOCATION = "striate_location"

# Strict: `epochs: true` is not 1 and `lr: "fast"` is not a number; a whole number still serves as a Number.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]


def location_field(default: Any = ...) -> Any:
    """A field that says where something is, and so takes no part in the fingerprint."""
    return Field(default, json_schema_extra={_LOCATION: True})


class Record(BaseModel):
    """Base of every record: frozen, keyword-only, unknown keys refused, defaults checked too."""

    # The text below a field is its description: the manual's tables are made from it.
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    # The field that a bare word means: `data: cifar10` is `data: {source: cifar10}`.
    shorthand: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _written_short(cls, value: Any) -> Any:
        return {cls.shorthand: value} if cls.shorthand and isinstance(value, str) else value

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again."""
        return type(self).model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **changes})

    def identity(self) -> dict[str, Any]:
        """What decides this record, as plain JSON data: without defaults and locations."""
        decided = {}
        for name, field in type(self).model_fields.items():
            value = _plain(getattr(self, name))
            is_location = isinstance(field.json_schema_extra, dict) and _LOCATION in field.json_schema_extra
            if not is_location and value != _plain(field.get_default(call_default_factory=True)):
                decided[name] = value
        return {**decided, **_plain(self.model_extra or {})}


def fingerprint(*parts: Any) -> str:
    """Twelve hexadecimal digits that name the parts (records or JSON data) by what decides them."""
    text = json.dumps([_plain(part) for part in parts], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.identity()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    # 1 and 1.0 compare equal, so they must not make two fingerprints.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


LONGEST_NAME = 100
# Explicit embeddings, overrides and isolates, which reorder the text around them.
_BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def check_name(name: str, what: str, error: type[StriateError] = ConfigError, longest: int = LONGEST_NAME) -> str:
    """`name`, if it can be shown in one line; `what` says whose it is, for the message.

    Raises:
        error: for an empty name, one of more than `longest` characters, control characters and line breaks (an escape
            sequence changes the terminal), and characters that reorder the text around them.
    """
    if not name.strip():
        raise error(f"{what} must not be empty")
    if len(name) > longest:
        raise error(f"{what} must have at most {longest} characters, got {len(name)}: '{printable(name[:40])}...'")
    for char in name:
        if _is_unsafe(char):
            raise error(f"{what} must not contain the control character {_escaped(char)}, got '{printable(name, '')}'")
    return name


def printable(text: str, keep: str = "\n\t") -> str:
    """`text` with control characters written as escapes (`\\x1b`), but for those in `keep`: safe for a terminal and in XML."""
    if text.isprintable():
        return text
    return "".join(_escaped(char) if _is_unsafe(char) and char not in keep else char for char in text)


def _is_unsafe(char: str) -> bool:
    # Cc control, Zl and Zp line and paragraph separators, Cs half a surrogate pair, which cannot be printed. XML has
    # neither of the last two code points of a plane, and the renderer of the charts aborts on them.
    is_control = unicodedata.category(char) in {"Cc", "Zl", "Zp", "Cs"}
    return is_control or unicodedata.bidirectional(char) in _BIDI_CONTROLS or ord(char) & 0xFFFE == 0xFFFE


def _escaped(char: str) -> str:
    return ascii(char)[1:-1]
