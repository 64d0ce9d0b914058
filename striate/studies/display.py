"""How studies and results are shown in a notebook: HTML."""

import html
from collections.abc import Iterable, Sequence
from typing import Any


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
