"""`striate recipes`: the named ways to train."""

import shutil
import textwrap

from striate.cli.output import out, plain_json
from striate.core.config import dump
from striate.recipes import RECIPES


def recipes(as_json: bool) -> None:
    """List the named recipes: what each says, where it is from and what it reached."""
    if as_json:
        plain_json([{"name": name, **vars(one)} for name, one in RECIPES.items()])
        return
    width = min(shutil.get_terminal_size((120, 24)).columns, 120)
    for name, one in RECIPES.items():
        out(name, bold=True)
        out(textwrap.indent(dump(one.settings).rstrip(), "  "))
        for said in (one.source, one.reached):
            out(textwrap.fill(said, width, initial_indent="  ", subsequent_indent="  "))
        out("")
    out("In a study file: recipe: NAME, or recipe: {base: NAME, epochs: 5} to change something.")
