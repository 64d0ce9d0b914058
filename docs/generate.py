"""Generate parts of the manual: tables of the study file and of operators, the built-in studies, the command line, the walkthrough.

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

STUDIES = re.compile(r"(<!-- studies -->\n).*?(<!-- end -->)", re.DOTALL)
OPERATORS = re.compile(r"(<!-- operators -->\n).*?(<!-- end -->)", re.DOTALL)


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


def with_operators(text: str) -> str:
    """`text` with the table of operators measured again."""
    return OPERATORS.sub(lambda marked: f"{marked[1]}{operators()}{marked[2]}", text)


def with_studies(text: str) -> str:
    """`text` with the list of built-in studies."""
    return STUDIES.sub(lambda marked: f"{marked[1]}{studies()}{marked[2]}", text)


def with_walkthrough(text: str) -> str:
    """`text` with the numbers of the walkthrough computed again."""
    from striate.engines.scratch.walkthrough import parts

    if not WALKTHROUGH.search(text):
        return text
    computed = parts()
    return WALKTHROUGH.sub(lambda marked: f"{marked[1]}```\n{computed[marked[2]]}```\n{marked[3]}", text)


def operator_modules() -> dict[str, Any]:
    """The operators that networks are made of, by name."""
    import torch
    from torch import nn

    from striate.nets.pytorch.modules import Flatten, Subsample

    class Bias(nn.Module):
        """Adds a number to each channel."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.tensor([0.5, -1.0, 2.0], dtype=x.dtype)[:, None, None]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(3)
        norm.running_mean, norm.running_var = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 1.0, 2.0])
        return {
            "relu": nn.ReLU(),
            "the first pixel of each 2x2 block": Subsample((2, 2)),
            "2x2 max pool": nn.MaxPool2d(2),
            "2x2 average pool": nn.AvgPool2d(2),
            "adding a bias": Bias(),
            "fc on a flattened map": nn.Sequential(Flatten(), nn.Linear(768, 10, bias=False)),
            "3x3 convolution, zero padding": nn.Conv2d(3, 4, 3, padding=1, bias=False),
            "3x3 convolution, circular padding": nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular", bias=False),
            "batch norm in evaluation": norm,
            "global average pool": nn.AdaptiveAvgPool2d(1),
        }


def probed(module: Any, index: int = -1) -> Any:
    """What `striate probe` measures of a module, as a whole, or of the operator at `index`."""
    from torch import nn

    from striate.explain.operators import probe

    return probe(nn.Sequential(module), (3, 16, 16))[index]


# What a course report (report B of docs/answers.md) answers of them.
REPORT_B = {
    "relu": "not linear, invariant: right",
    "the first pixel of each 2x2 block": "not linear, invariant: wrong twice",
    "adding a bias": "linear, not invariant: wrong twice",
    "fc on a flattened map": "linear, not invariant: right",
}


def operators() -> str:
    """A table of the operators, as measured."""
    lines = ["| operator | linear | shift-equivariant | impulse response | report B said |", "|---|---|---|---|---|"]
    for name, module in operator_modules().items():
        whole = probed(module)
        size = "" if whole.impulse is None or whole.impulse.ndim != 4 else "x".join(map(str, whole.impulse.shape[2:]))
        said = REPORT_B.get(name, "")
        lines.append(f"| {name} | {whole.linearity.verdict} | {whole.equivariance.verdict} | {size} | {said} |")
    return "\n".join(lines) + "\n"


def studies() -> str:
    """A row for each built-in study."""
    from striate.studies.loaded import FORMER_NAMES, built_in

    former = {new: old for old, new in FORMER_NAMES.items()}
    lines = ["| study | row | question | source |", "|---|---|---|---|"]
    for name, study in built_in().items():
        before = f" (before: `{former[name]}`)" if name in former else ""
        lines.append(f"| `{name}`{before} | {study.row} | {study.question} | {study.source} |")
    return "\n".join(lines) + "\n"


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
        path: with_studies(with_operators(with_walkthrough(with_tables(path.read_text(encoding="utf-8")))))
        for path in sorted(DOCS.glob("*.md"))
    }
    return {**texts, DOCS / "command-line.md": command_line()}


if __name__ == "__main__":
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(DOCS.parent)}\n")
