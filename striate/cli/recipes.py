"""`striate recipes`: the named ways to train."""

import shutil
import textwrap

from striate.cli.output import out, plain_json, table
from striate.core.config import dump, suggest
from striate.core.errors import RecipeError
from striate.recipes import RECIPES, Recipe


def recipes(name: str | None, as_json: bool) -> None:
    """A line for each recipe, or one recipe with its settings, source and measured accuracy."""
    if name is not None and name not in RECIPES:
        raise RecipeError(f"there is no recipe '{name}'; {suggest(name, RECIPES)}")
    chosen = {key: recipe for key, recipe in RECIPES.items() if name in (None, key)}
    if as_json:
        plain_json([{"name": key, **vars(recipe)} for key, recipe in chosen.items()])
    elif name is None:
        _table()
    else:
        _whole(name)


def _table() -> None:
    rows = []
    for name, named in RECIPES.items():
        recipe = Recipe(**named.settings)
        augment = ", ".join(key for key, value in recipe.augment.model_dump().items() if value) or "none"
        optimizer = f"{recipe.optimizer.name}, lr {recipe.optimizer.lr:g}"
        rows.append([name, optimizer, recipe.schedule.name, f"{recipe.epochs}", f"{recipe.batch_size}", augment])
    table(["recipe", "optimizer", "schedule", "epochs", "batch", "augmentation"], rows, right={3, 4})
    out("\nAll settings, the source and the measured accuracy of one: striate recipes NAME")
    out("In a study file: recipe: NAME, or recipe: {base: NAME, epochs: 5} to change something.")


def _whole(name: str) -> None:
    recipe = RECIPES[name]
    width = min(shutil.get_terminal_size((120, 24)).columns, 120)
    out(name, bold=True)
    out(textwrap.indent(dump(recipe.settings).rstrip(), "  "))
    for label, text in (("source", recipe.source), ("reached", recipe.reached)):
        out(textwrap.fill(f"{label}: {text}", width, initial_indent="  ", subsequent_indent="    "))
