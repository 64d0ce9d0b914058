"""The results of a study as LaTeX tables: each arm, and each planned comparison. They need the package booktabs and no other.

A name may hold anything: what TeX takes for a command is escaped, and letters that pdfTeX's fonts lack are printed as their
code there, as they are in LuaTeX and XeTeX.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from striate.core.errors import ReportError
from striate.report.costs import cost
from striate.report.figures import ArmAccuracy, accuracies, mean_difference
from striate.report.metric_words import MetricWords, metric_words
from striate.report.wording import NONE, abbreviated, duration, one_line, pair, plain, whole
from striate.runs import layout
from striate.runs.files import write_text
from striate.studies.results import Results
from striate.verdicts import Verdict

MARK = "% Tables of Striate"
_PREAMBLE = r"""% \usepackage{booktabs} in the preamble, \input{this file} in the text.
\providecommand{\striatechar}[2]{\ifdefined\directlua#2\else\ifdefined\XeTeXversion#2\else[U+#1]\fi\fi}
"""
_COMMANDS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\char34{}", "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}", "*": "{*}",
    "\N{MINUS SIGN}": "$-$", "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{EN DASH}": "--", "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{NARROW NO-BREAK SPACE}": r"\,", "\N{NO-BREAK SPACE}": "~",
}  # fmt: skip

Costs = Mapping[str, tuple[float, float]]  # parameters and seconds of each arm
NO_COSTS: Costs = MappingProxyType({})


def write(results: Results, path: Path) -> None:
    """Write the tables of a study, whole or not at all. They replace a file that this has written and no other.

    Raises:
        ReportError: for a file that is not ours, a folder that is not there, or a study without results.
        RunError: when the disk refuses.
    """
    figure, costs = accuracies(results), cost(results)
    if figure is None:
        raise ReportError(f"--latex: no run of {results.study.name} has a result yet; 'striate run' makes them")
    of_arms = {arm.arm: (arm.parameters, arm.seconds) for arm in costs.arms} if costs else {}
    write_tables(tables(figure.arms, results.verdicts, metric_words(results), results.study.name, of_arms), path)


def write_tables(text: str, path: Path) -> None:
    """Write what `tables` gives."""
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise ReportError(f"{path}: {what}; give a file for the tables with --latex")
    if path.exists() and not path.read_bytes().startswith(MARK.encode()):
        raise ReportError(f"{path}: exists and was not written by --latex, so it was not replaced; give another file")
    write_text(path, text)


def tables(
    arms: Sequence[ArmAccuracy], verdicts: Sequence[Verdict], words: MetricWords, name: str, costs: Costs = NO_COSTS
) -> str:
    """Both tables as text for \\input; the second one only where comparisons were planned."""
    label = layout.slug(name).lower()
    parts = [f"{MARK}: {one_line(name)}\n{_PREAMBLE}", _results(arms, words, label, costs)]
    if verdicts:
        parts.append(_differences(verdicts, words, label))
    return "\n".join(parts)


def escape(text: str) -> str:
    """`text` as it is to be read, in one line."""
    return re.sub(
        r"--+|.", lambda match: "{}".join(match[0]) if match[0][:2] == "--" else _letter(match[0]), one_line(text)
    )


def _letter(character: str) -> str:
    if character in _COMMANDS:
        return _COMMANDS[character]
    plain_letter = unicodedata.normalize("NFD", character)[0]
    if character.isascii() or character in "ßæøåÆØÅ" or (ord(character) < 0x180 and plain_letter.isascii()):
        return character
    return rf"\striatechar{{{ord(character):04X}}}{{{character}}}"


def _results(arms: Sequence[ArmAccuracy], words: MetricWords, label: str, costs: Costs) -> str:
    head = ["arm", "$n$", "mean", "standard deviation", "95 % interval", *(["parameters", "time"] if costs else [])]
    rows = []
    for arm in arms:
        span = words.between(arm.interval) if arm.interval else NONE
        numbers = [str(arm.n), _number(arm.mean, words), _deviation(arm, words), span]
        size, seconds = costs.get(arm.arm, (None, None))
        rows.append([abbreviated(arm.arm), *numbers, *([whole(size), duration(seconds)] if costs else [])])
    caption = (
        f"{words.title}{words.in_unit}: mean, standard deviation and 95 % confidence interval ({words.interval_name}) over the "
        f"$n$ seeds that trained.{' Time: mean of a run.' if costs else ''}"
    )
    return _table(caption, f"{label}-results", head, rows)


def _differences(verdicts: Sequence[Verdict], words: MetricWords, label: str) -> str:
    rows = []
    for v in verdicts:
        has_differences = bool(v.differences) and v.label != "not comparable"
        span = words.between_differences(v.interval) if v.interval else NONE
        mean = words.difference(mean_difference(v)) if has_differences else NONE
        n = str(len(v.differences)) if has_differences else NONE
        rows.append([abbreviated(pair(v.first, v.second)), n, mean, span, v.label])
    together = f" together for all {len(verdicts)} comparisons" if len(verdicts) > 1 else ""
    matters = words.size(verdicts[0].matters, f"{verdicts[0].matters:g}")
    caption = (
        f"Differences of {words.name}{words.difference_unit}, paired by seed, with confidence intervals of 95 %{together}. "
        f"Differences under {matters} do not matter."
    )
    return _table(caption, f"{label}-differences", ["comparison", "$n$", "difference", "interval", "verdict"], rows)


def _number(value: float | None, words: MetricWords) -> str:
    return words.cell(value) if words.metric.scale == "ratio" else plain(value, words.digits)


def _deviation(arm: ArmAccuracy, words: MetricWords) -> str:
    return words.cell(arm.standard_deviation)


def _table(caption: str, label: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Texts are escaped here; `$n$` is the one piece of mathematics."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cell if cell == "$n$" else escape(cell) for cell in cells) + r" \\"

    columns = "".join("l" if name in {"arm", "comparison", "verdict"} else "r" for name in head)
    said = "$n$".join(map(escape, caption.split("$n$")))
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{said}}}", rf"\label{{tab:{label}}}", rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule", line(head), r"\midrule", *map(line, rows), r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
