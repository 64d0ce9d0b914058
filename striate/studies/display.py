"""How studies and results are shown at a prompt and in a notebook: short lists, and HTML."""

import html
from collections.abc import Iterable, Sequence
from typing import Any


def short_list(words: Sequence[str], most: int = 10) -> str:
    """The words with commas between them; of more than `most`, the first ones and the number of all."""
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])}, ... ({len(words):,} in all)"


def seed_list(seeds: Sequence[int]) -> str:
    """seed 0; seeds 0, 1."""
    return f"seed{'s' if len(seeds) > 1 else ''} {short_list([str(seed) for seed in seeds])}"


def page(title: str, lines: Iterable[str], head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A title, a list of lines and a table, as HTML."""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(_cell(value))}</td>' for value in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
    return f"<p><b>{html.escape(title)}</b></p><ul>{items}</ul>{table}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
