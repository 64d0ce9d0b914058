"""The list of named recipes."""

import json

from striate.recipes import RECIPES
from tests.cli.test_cli import striate

__all__ = ["striate"]


def test_every_recipe_is_listed_with_its_settings_and_source(striate):
    code, out, _ = striate("recipes")
    assert code == 0
    for name, one in RECIPES.items():
        assert f"{name}\n" in out
        assert " ".join(one.source.split()[:4]) in out
    assert json.loads(striate("recipes", "--json")[1]) == [{"name": name, **vars(one)} for name, one in RECIPES.items()]
