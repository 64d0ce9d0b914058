"""The words after a layer's colon, and the records that they stand for; reader and writer share this table."""

import re
from typing import Any, get_args

from striate.nets.layers import Activate, Activation, Init, Norm, Normalize, Own

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
    """The fields of `Own` that `word` sets; KeyError for an unknown word. `group8` sets two."""
    if found := re.fullmatch(r"group(\d+)", word):
        return {"norm": "group", "norm_groups": int(found[1])}
    field, value = WORDS[word]
    return {field: value}


def write_words(own: Own) -> list[str]:
    """The words of `own`, in the order of its fields."""
    spoken = {(field, value): word for word, (field, value) in WORDS.items()}
    said = {field: value for field in type(own).model_fields if (value := getattr(own, field)) is not None}
    groups = said.pop("norm_groups", "")
    words = [spoken[field, value] for field, value in said.items()]
    return [f"{word}{groups}" if word == "group" else word for word in words]
