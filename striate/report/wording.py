"""How the page writes numbers, counts, names and paths: one spelling each, so that no two sections differ.

Promises: `shortened` leaves no absolute path in a text, as a report may go to people who must not learn where it was
made; `one_line` leaves no character that breaks a page or a chart, or makes a text look like another one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from striate.core.records import printable

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
LONGEST_NAME = 44  # characters of an arm's name in a table, a legend or a heading

# After a home or a drive, or two components from a root; the look-behind spares URLs, </tags> and `a/b` inside a word.
_PART = r"[/\\][^\s/\\'\"<>|:;,()]+"
_PATH = re.compile(rf"(?<![\w./\\:<])(?:file://)?(?:(?:~[\w-]*|\b[A-Za-z]:)(?:{_PART})+|(?:{_PART}){{2,}})[/\\]?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells as text. The first column names its row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def percent(value: float | None, digits: int = 1) -> str:
    return NONE if value is None else f"{value:.{digits}f} %"


def plain(value: float | None, digits: int = 1) -> str:
    """A number, or a dash where there is none; the minus is as wide as the plus."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return (text if float(text) else text.removeprefix("-")).replace("-", MINUS)


def signed(value: float | None, digits: int = 1) -> str:
    """With its sign; what rounds to zero has none."""
    text = plain(value, digits)
    return text if value is None or text.startswith(MINUS) or not float(text) else f"+{text}"


def between(low: float, high: float, digits: int = 1) -> str:
    return f"{plain(low, digits)} to {plain(high, digits)}"


def between_signed(low: float, high: float, digits: int = 1) -> str:
    return f"{signed(low, digits)} to {signed(high, digits)}"


def whole(value: float | None) -> str:
    """A whole number in groups of three."""
    return NONE if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds: float | None) -> str:
    """Seconds as one reads them: 8.2 s, 3 min 5 s, 2 h 10 min."""
    if seconds is None:
        return NONE
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def count(n: int, noun: str, plural: str = "") -> str:
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def listed(words: Iterable[str]) -> str:
    """a; a and b; a, b and c."""
    *some, last = list(words)
    return f"{', '.join(some)} and {last}" if some else last


def pair(first: str, second: str) -> str:
    """A comparison as it is written in print."""
    return f"{first} {MINUS} {second}"


def abbreviated(text: str) -> str:
    """A name of over LONGEST_NAME characters without its middle, as names that differ often differ at the end. Of a
    comparison, each of both names."""
    return f" {MINUS} ".join(map(_abbreviate, text.split(f" {MINUS} ")))


def _abbreviate(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:26]}\N{HORIZONTAL ELLIPSIS}{name[-17:]}"


def shortened(text: str) -> str:
    """`text` with each absolute path cut to its last component."""
    return _PATH.sub(lambda path: re.split(r"[/\\]", path[0].rstrip("/\\"))[-1], text)


def one_line(text: str) -> str:
    """`text` with tabs and line ends as spaces, and with control characters and their like as escapes (\\x1b)."""
    return printable(re.sub(r"[\t\n\r]", " ", text), keep="")


def value(content: Any) -> str:
    """A value of a study file in one line."""
    if content is None:
        return NONE
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, float):
        return f"{content:g}"
    if isinstance(content, Mapping):
        return ", ".join(f"{key} {value(item)}" for key, item in content.items())
    if isinstance(content, list | tuple):
        return ", ".join(value(item) for item in content)
    return shortened(str(content))
