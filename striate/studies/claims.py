"""What a study compares, and what others claim."""

from typing import Any, Self

from pydantic import field_validator, model_validator

from striate.core.errors import ConfigError
from striate.core.records import Number, Record, check_name, printable


class Claim(Record):
    """What a source states; the report puts the measurement beside it. `values`: accuracy in percent by arm."""

    says: str
    """The claim, in its own words."""
    source: str = ""
    """Who says so, and where."""
    values: dict[str, Number] = {}
    """An accuracy in percent for each arm; in a file they stand beside `says`, by the name of the arm."""

    @model_validator(mode="before")
    @classmethod
    def _collect_values(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "values" in value:
            return value
        texts = {key: item for key, item in value.items() if key in {"says", "source"}}
        return {**texts, "values": {key: item for key, item in value.items() if key not in texts}}

    @field_validator("says", "source")
    @classmethod
    def _check_texts(cls, text: str) -> str:
        return check_text(text)

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


def check_text(text: str) -> str:
    """`text`, if it has no control characters but tabs and line breaks.

    Raises:
        ConfigError: with the text as far as it can be shown.
    """
    shown = printable(text)
    if shown != text:
        raise ConfigError(f"must not contain control characters, got '{shown}'")
    return text
