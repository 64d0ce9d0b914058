"""`striate recipes`."""

import json

from striate.recipes import RECIPES


def test_every_recipe_has_a_line(striate):
    code, out, _ = striate("recipes")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["recipe", "optimizer", "schedule", "epochs", "batch", "augmentation"]
    assert [line.split()[0] for line in lines[1 : len(RECIPES) + 1]] == list(RECIPES)
    assert lines[1].split() == ["baseline", "SGD,", "lr", "0.1", "cosine", "30", "128", "flip,", "crop"]
    assert json.loads(striate("recipes", "--json")[1]) == [{"name": name, **vars(one)} for name, one in RECIPES.items()]


def test_one_recipe_is_printed_whole(striate):
    code, out, _ = striate("recipes", "fast")
    assert code == 0
    assert out.startswith("fast\n")
    text = " ".join(out.split())
    assert "ema: 0.99" in text
    assert f"source: {RECIPES['fast'].source}" in text
    assert f"reached: {RECIPES['fast'].reached}" in text
    assert [one["name"] for one in json.loads(striate("recipes", "fast", "--json")[1])] == ["fast"]


def test_an_unknown_recipe_is_told_with_the_nearest(striate):
    assert striate("recipes", "fst") == (1, "", "striate: there is no recipe 'fst'; did you mean 'fast'?\n")
