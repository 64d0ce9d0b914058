"""Writes the generated parts of the manual: the tables of the study file, the reference of the command line, the lesson.

`make docs` runs it; a test fails when the files are not what it would write.
"""

import inspect
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
MARKS = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

LESSON = re.compile(r"(<!-- lesson: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def records() -> dict[str, type]:
    """The records that a study file is made of."""
    from striate.data import DataConfig
    from striate.nets import NetworkConfig
    from striate.recipes import AugmentConfig, OptimizerConfig, Recipe, ScheduleConfig, StopConfig
    from striate.studies.study import Claim, Study

    found = (
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
    return {record.__name__: record for record in found}


def table(record: Any) -> str:
    """A row for each key of a record."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in record.model_fields.items():
        cells = (
            f"`{field.alias or name}`",
            kind(field.annotation),
            default(field),
            (field.description or "").replace("\n", " "),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def kind(annotation: Any) -> str:
    """A type in the words of a study file."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(kind(option) for option in inside if option is not type(None))
    if origin is typing.Literal:
        return ", ".join(f"`{option}`" for option in inside)
    if origin is typing.Annotated:
        return kind(inside[0])
    if origin is tuple:
        return "list"
    if origin is dict or (isinstance(annotation, type) and hasattr(annotation, "model_fields")):
        return "keys"
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(annotation, "anything")


def default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    plain = isinstance(value, str | int | float) and value != ""
    return f"`{value}`" if plain else ""


def with_tables(text: str) -> str:
    """`text` with what stands between the marks made anew."""
    known = records()
    return MARKS.sub(lambda mark: f"{mark[1]}{table(known[mark[2]])}{mark[3]}", text)


def with_lesson(text: str) -> str:
    """`text` with the numbers of the lesson computed anew."""
    from striate.engines.scratch.walkthrough import parts

    if not LESSON.search(text):
        return text
    computed = parts()
    return LESSON.sub(lambda mark: f"{mark[1]}```\n{computed[mark[2]]}```\n{mark[3]}", text)


def command_line() -> str:
    """The reference of the commands, from their own help."""
    from striate.cli.app import app

    parts = [f"# The command line\n\n<!-- written by docs/generate.py -->\n\n{app.info.help}\n"]
    for command in app.registered_commands:
        function = typing.cast(Any, command.callback)
        parts.append(f"## striate {function.__name__}\n\n{inspect.getdoc(function)}\n\n{_parameters(function)}")
    parts.append(
        "## Exit codes\n\n| code | meaning |\n|---|---|\n| 0 | all done |\n| 1 | an error of use: one sentence on stderr |\n"
        "| 3 | finished, but some runs failed or diverged |\n| 130 | stopped by Ctrl-C after saving |\n"
    )
    return "\n".join(parts)


def _parameters(function: Any) -> str:
    lines = ["| word | meaning | default |", "|---|---|---|"]
    for name, parameter in inspect.signature(function).parameters.items():
        info = typing.get_args(parameter.annotation)[1]
        is_option = type(info).__name__ == "OptionInfo"
        spelling = (info.param_decls or (f"--{name.replace('_', '-')}",))[0]
        word = f"`{spelling}`" if is_option else f"`{info.metavar or name.upper()}`"
        has_default = parameter.default not in (inspect.Parameter.empty, None, False, True)
        shown = f"`{parameter.default}`" if has_default else ""
        lines.append(f"| {word} | {info.help} | {shown} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """Each generated file and what it should hold."""
    made = {path: with_lesson(with_tables(path.read_text(encoding="utf-8"))) for path in sorted(DOCS.glob("*.md"))}
    return {**made, DOCS / "command-line.md": command_line()}


if __name__ == "__main__":
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)}\n")
