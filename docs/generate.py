"""Generate parts of the manual: the tables of the study file, the command line, the numbers of the walkthrough.

`make docs` runs it. A test fails when a page differs from what this would write.
"""

import inspect
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
WALKTHROUGH = re.compile(r"(<!-- walkthrough: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def records() -> dict[str, type]:
    """The records that a study file consists of, by name."""
    from striate.data import DataConfig
    from striate.nets import NetworkConfig
    from striate.recipes import AugmentConfig, OptimizerConfig, Recipe, ScheduleConfig, StopConfig
    from striate.studies.study import Claim, Study

    parts = (
        Study,
        DataConfig,
        NetworkConfig,
        Recipe,
        OptimizerConfig,
        ScheduleConfig,
        StopConfig,
        AugmentConfig,
        Claim,
    )
    return {record.__name__: record for record in parts}


def table(record: Any) -> str:
    """A row for each key of a record."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in record.model_fields.items():
        cells = (
            f"`{field.alias or name}`",
            value_type(field.annotation),
            default(field),
            (field.description or "").replace("\n", " "),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def value_type(annotation: Any) -> str:
    """A type as a user of study files calls it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(value_type(option) for option in arguments if option is not type(None))
    if origin is typing.Literal:
        return ", ".join(f"`{option}`" for option in arguments)
    if origin is typing.Annotated:
        return value_type(arguments[0])
    if origin is tuple:
        return "list"
    if origin is dict or (isinstance(annotation, type) and hasattr(annotation, "model_fields")):
        return "keys"
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(annotation, "anything")


def default(field: Any) -> str:
    """The default of a field, if it is a plain value."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    is_plain = isinstance(value, str | int | float) and value != ""
    return f"`{value}`" if is_plain else ""


def with_tables(text: str) -> str:
    """`text` with the tables between its markers replaced."""
    by_name = records()
    return TABLE.sub(lambda marked: f"{marked[1]}{table(by_name[marked[2]])}{marked[3]}", text)


def with_walkthrough(text: str) -> str:
    """`text` with the numbers of the walkthrough computed again."""
    from striate.engines.scratch.walkthrough import parts

    if not WALKTHROUGH.search(text):
        return text
    computed = parts()
    return WALKTHROUGH.sub(lambda marked: f"{marked[1]}```\n{computed[marked[2]]}```\n{marked[3]}", text)


def command_line() -> str:
    """The page of the commands, from their own help."""
    from striate.cli.app import app

    sections = [f"# The command line\n\n<!-- written by docs/generate.py -->\n\n{app.info.help}\n"]
    for command in app.registered_commands:
        function = typing.cast(Any, command.callback)
        sections.append(f"## striate {function.__name__}\n\n{inspect.getdoc(function)}\n\n{_parameters(function)}")
    sections.append(
        "## Exit codes\n\n| code | meaning |\n|---|---|\n| 0 | all done |\n| 1 | wrong use: one sentence on stderr |\n"
        "| 3 | finished, but some runs failed or diverged |\n| 130 | stopped by Ctrl-C after saving |\n"
    )
    return "\n".join(sections)


def _parameters(function: Any) -> str:
    """The table of a command's arguments and options."""
    lines = ["| word | meaning | default |", "|---|---|---|"]
    for name, parameter in inspect.signature(function).parameters.items():
        info = typing.get_args(parameter.annotation)[1]
        is_option = type(info).__name__ == "OptionInfo"
        # typer keeps the first spelling of an annotated option where a default would stand.
        spelling = info.default if str(info.default).startswith("--") else f"--{name.replace('_', '-')}"
        word = f"`{spelling}`" if is_option else f"`{info.metavar or name.upper()}`"
        has_default = parameter.default not in (inspect.Parameter.empty, None, False, True)
        shown = f"`{parameter.default}`" if has_default else ""
        lines.append(f"| {word} | {info.help} | {shown} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """Each generated file and its text."""
    texts = {
        path: with_walkthrough(with_tables(path.read_text(encoding="utf-8"))) for path in sorted(DOCS.glob("*.md"))
    }
    return {**texts, DOCS / "command-line.md": command_line()}


if __name__ == "__main__":
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)}\n")
