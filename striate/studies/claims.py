"""What a study compares, and what others claim."""

import re
from typing import Any, Self

from pydantic import field_validator, model_validator

from striate.core.errors import ConfigError
from striate.core.records import Number, Record, check_name, printable
from striate.studies.relations import read_relation

_TEXTS = {"says", "source", "relation", "differs"}
_ACCURACY = re.compile(r"(\d+(?:\.\d+)?) *\+- *(\d+(?:\.\d+)?)")


class Claim(Record):
    """What a source states, judged by the runs. `values`: accuracy in percent by arm."""

    says: str
    """The claim, in its own words."""
    source: str = ""
    """Who says so, and where."""
    relation: str = ""
    """What it states of the arms: `A is best`, `A is better than B by 1.2`, `A takes 1.3 times as long as B`."""
    differs: str = ""
    """How the settings of the source differ, in words (`150 epochs there`); its accuracies are not comparable then."""
    values: dict[str, Number] = {}
    """An accuracy in percent for each arm; in a file they stand beside `says`, by the name of the arm."""
    tolerances: dict[str, Number] = {}
    """How far from the accuracy a mean may be, in points; in a file `88.2 +- 1`. When left out, `matters`."""

    @model_validator(mode="before")
    @classmethod
    def _collect_values(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "values" in value:
            return value
        # An arm may be called like a key: what is written for an arm begins with a number.
        texts = {key: item for key, item in value.items() if key in _TEXTS and not _is_accuracy(item)}
        accuracies = {key: item for key, item in value.items() if key not in texts}
        matches = {key: _ACCURACY.fullmatch(item) for key, item in accuracies.items() if isinstance(item, str)}
        split = {key: match for key, match in matches.items() if match}
        return {
            **texts,
            "values": {**accuracies, **{key: float(match[1]) for key, match in split.items()}},
            "tolerances": {key: float(match[2]) for key, match in split.items()},
        }

    @field_validator("says", "source", "differs")
    @classmethod
    def _check_texts(cls, text: str) -> str:
        return check_text(text)

    @field_validator("relation")
    @classmethod
    def _check_relation(cls, text: str) -> str:
        if text:
            read_relation(check_text(text))
        return text

    @model_validator(mode="after")
    def _check_percentages(self) -> Self:
        for arm, accuracy in self.values.items():
            if not 0 <= accuracy <= 100:
                raise ValueError(f"'{arm}': an accuracy is in percent, from 0 to 100, got {accuracy:g}")
        return self


class Comparison(Record):
    """`first - second`: is the first better?"""

    first: str
    second: str

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        first, sign, second = value.partition(" - ")
        if not sign:
            raise ValueError(f"a comparison is written 'first - second', with spaces around the minus, got {value!r}")
        return {"first": first.strip(), "second": second.strip()}

    @field_validator("first", "second")
    @classmethod
    def _check_names(cls, name: str) -> str:
        return check_name(name, "an arm's name")

    def __str__(self) -> str:
        return f"{self.first} - {self.second}"


def _is_accuracy(value: Any) -> bool:
    """88.2, or `88.2 +- 1`."""
    return not isinstance(value, str) or _ACCURACY.fullmatch(value) is not None


def check_text(text: str) -> str:
    """`text`, if it has no control characters but tabs and line breaks.

    Raises:
        ConfigError: with the text as far as it can be shown.
    """
    shown = printable(text)
    if shown != text:
        raise ConfigError(f"must not contain control characters, got '{shown}'")
    return text
