"""Matrices as SVG: a cell a pair of classes, its strength the opacity of one color.

Cells of equal strength share one path, so a matrix of 40 classes is twenty elements. Colors are variables of the style
sheet, so that a matrix follows the page into the dark.
"""

import html
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from striate.report.wording import one_line

LEVELS = 12
STRONGEST = 0.62  # opacity: numbers in the cells stay readable
MOST_WITH_NUMBERS = 12  # classes
_SIDE, _GAP = 340.0, 4.0
_CHAR = 6.2  # pixels of a letter of a label


def heat_map(
    values: NDArray[np.float64], names: Sequence[str], label: str, positive: str, negative: str, digits: int = 0
) -> Markup:
    """Rows from top to bottom; 0 is the page itself. A number stands in each cell where there is room."""
    size = len(values)
    cell = _SIDE / size
    font = min(11.0, cell * 0.72)
    cut = [one_line(name)[:14] for name in names]
    left = max(len(name) for name in cut) * _CHAR * font / 11 + 8
    parts = [*_cells(values, left, cell, positive, negative)]
    parts.append(f'<path d="M{left:.1f},0.5h{_SIDE}v{_SIDE}h{-_SIDE}Z" fill="none" stroke="var(--rule)"/>')
    parts += _labels(cut, left, cell, font)
    if size <= MOST_WITH_NUMBERS:
        parts += _numbers(values, left, cell, min(font, 10.5), digits)
    width, height = left + _SIDE + _GAP, _SIDE + left + _GAP
    box = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    opening = f'<svg class="chart heat" role="img" aria-label="{html.escape(one_line(label))}" {box} xmlns="http://www.w3.org/2000/svg"'
    return Markup(f'{opening} style="max-width:{width * 1.1:.0f}px">{"".join(parts)}</svg>')


def _cells(values: NDArray[np.float64], left: float, cell: float, positive: str, negative: str) -> list[str]:
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    if not largest:
        return []
    # The square root lets small numbers be seen beside large ones.
    strength = np.sqrt(np.abs(np.nan_to_num(values)) / largest)
    level = np.ceil(strength * LEVELS - 1e-9).astype(int)
    paths = []
    for sign, color in ((1, positive), (-1, negative)):
        for step in range(1, LEVELS + 1):
            rows, columns = np.nonzero((level == step) & (np.sign(np.nan_to_num(values)) == sign))
            if len(rows):
                d = "".join(
                    f"M{left + j * cell:.1f},{i * cell:.1f}h{cell:.2f}v{cell:.2f}h{-cell:.2f}Z"
                    for i, j in zip(rows, columns, strict=True)
                )
                paths.append(f'<path d="{d}" fill="{color}" fill-opacity="{STRONGEST * step / LEVELS:.2f}"/>')
    return paths


def _labels(names: Sequence[str], left: float, cell: float, font: float) -> list[str]:
    texts = []
    for i, name in enumerate(map(html.escape, names)):
        middle = (i + 0.5) * cell
        texts.append(f'<text x="{left - 5:.1f}" y="{middle + font * 0.35:.1f}" text-anchor="end">{name}</text>')
        x, y = left + middle + font * 0.35, _SIDE + 6
        texts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="end" transform="rotate(-90 {x:.1f} {y:.1f})">{name}</text>'
        )
    return [f'<g fill="var(--muted)" font-size="{font:.1f}" font-family="system-ui, sans-serif">{"".join(texts)}</g>']


def _numbers(values: NDArray[np.float64], left: float, cell: float, font: float, digits: int) -> list[str]:
    texts = []
    for (i, j), value in np.ndenumerate(values):
        shown = f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
        if np.isfinite(value) and float(f"{value:.{digits}f}"):
            x, y = left + (j + 0.5) * cell, (i + 0.5) * cell + font * 0.35
            texts.append(f'<text x="{x:.1f}" y="{y:.1f}">{shown}</text>')
    style = f'fill="var(--ink)" font-size="{font:.1f}" font-family="system-ui, sans-serif" text-anchor="middle"'
    return [f"<g {style}>{''.join(texts)}</g>"]
