"""The manual's page on networks names everything there is, and its examples are read."""

import re
from pathlib import Path

import pytest
import yaml

from striate.nets import NETWORKS, NetworkConfig
from striate.nets.init import _SCHEMES
from striate.nets.notation.vocabulary import KINDS, WORDS
from striate.nets.zoo import FAMILIES

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^network: (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", [*NETWORKS, *FAMILIES, *_SCHEMES, *KINDS, *WORDS])
def test_names_everything(name):
    assert re.search(rf"`{re.escape(name)}[\d.~k]*`", PAGE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_read(example):
    assert NetworkConfig.model_validate(yaml.safe_load(example)).title


def test_there_are_examples():
    assert len(EXAMPLES) == 7
