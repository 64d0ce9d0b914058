"""What a study file may say about data, and what it may not."""

import pytest

from striate.core.config import build, parse
from striate.core.errors import ConfigError
from striate.core.records import fingerprint
from striate.data import DataConfig


def read(text):
    return build(DataConfig, parse(text, "study.yaml"))


def test_a_bare_word_is_the_source():
    assert DataConfig.model_validate("digits") == DataConfig(source="digits")


def test_the_place_of_the_images_is_not_what_they_are():
    assert fingerprint(DataConfig(source="here/x")) == fingerprint(DataConfig(source="/there/x"))
    assert fingerprint(DataConfig(source="x", size=32)) != fingerprint(DataConfig(source="x"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("size: 0", "line 2: size: must be greater than or equal to 1, got 0"),
        ("size: 9001", "line 2: size: must be less than or equal to 9000, got 9001"),
        ("limit: 1" + 17 * "0", "line 2: limit: must be less than or equal to 1000000000, got 1000"),
        ("limit: 1.5", "line 2: limit: must be a whole number, got 1.5"),
        ("channels: 2", "line 2: channels: must be one of 1 or 3, got 2"),
        ("validation: 0", "line 2: validation: must be greater than 0, got 0"),
        ("validation: 1.0", "line 2: validation: must be less than 1, got 1.0"),
        ("broken: ignore", "line 2: broken: must be one of 'error' or 'skip', got 'ignore'"),
        ("sise: 3", "did you mean 'size'"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(line, message):
    with pytest.raises(ConfigError, match=message):
        read(f"source: digits\n{line}\n")
