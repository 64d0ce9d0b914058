"""The smallest parts of a drawing, as Vega-Lite: marks, axes, a chart of layers. All looks that charts share are here.

How an arm looks, the same in every figure: a color, a dash and a marker, by its place in the study.

Colors are names of CSS variables (`report.css` gives them their values, for light and for dark), so a drawing follows the
page it stands in. Dash and marker tell the arms apart where color cannot: in print, and for color-blind readers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

INK, MUTED, RULE, PAPER = "var(--ink)", "var(--muted)", "var(--rule)", "var(--paper)"


def chart(layers: list[Spec], width: int, height: int, fit: str = "fit") -> Spec:
    look = {
        "labelColor": MUTED, "titleColor": MUTED, "labelFontSize": 11.5, "titleFontSize": 11.5, "titleFontWeight": "normal",
        "gridColor": RULE, "domainColor": RULE, "tickColor": RULE, "labelFlush": True, "titlePadding": 6,
    }  # fmt: skip
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width,
        "height": height,
        "background": None,
        "padding": {"left": 2, "right": 2, "top": 4, "bottom": 2},
        "autosize": {"type": fit, "contains": "padding"},
        "data": {"values": [{}]},  # for the marks that stand at a given place: one datum each
        "layer": layers,
        "config": {"aria": False, "font": "system-ui, sans-serif", "view": {"stroke": None}, "axis": look},
    }


def path(points: Iterable[tuple[float, float]], mark: Spec) -> Spec:
    values = [{"x": x, "y": y} for x, y in points]
    encoding = {"x": field("x"), "y": field("y")}
    return {
        "data": {"values": values},
        "mark": {"type": "line", "clip": True, "strokeJoin": "round", **mark},
        "encoding": encoding,
    }


def mark(x: float, y: float, color: str, shape: str, radius: float = 4.2) -> Spec:
    """A marker with a rim of paper; a cross has no inside and is drawn in its own color."""
    rim = (
        {"stroke": color, "strokeWidth": 2, "fill": None}
        if shape == CROSS
        else {"fill": color, "stroke": PAPER, "strokeWidth": 0.8}
    )
    return {
        "mark": {"type": "point", "shape": shape, "size": 4 * radius**2, "opacity": 1, **rim},
        "encoding": {"x": at(x), "y": {"datum": y}},
    }


def at(value: float) -> Spec:
    return {"datum": value, "type": "quantitative"}


def field(name: str) -> Spec:
    return {"field": name, "type": "quantitative"}


def axis(field: str, domain: tuple[float, float], axis: Spec | None) -> Spec:
    scale = {"domain": list(domain), "nice": False, "zero": False}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def domain(values: list[float]) -> tuple[float, float]:
    """The values with a little air, never of no width."""
    low, high = min(values), max(values)
    air = max((high - low) * 0.05, 0.1)
    return low - air, high + air


# Okabe and Ito's eight, https://jfly.uni-koeln.de/color/; the pair that is easiest to tell apart comes first.
COLORS = tuple(f"var(--c{n})" for n in range(1, 9))
OTHER = "var(--c-other)"  # a ninth hue would be mistaken for one of the eight

DASHES: tuple[tuple[int, ...], ...] = ((), (6, 3), (2, 2), (9, 3, 2, 3), (4, 2), (12, 3), (1, 3), (6, 2, 1, 2, 1, 2))

# Paths in a box of -1 to 1, so that charts and keys draw the very same marker.
MARKERS = (
    "M0.9,0A0.9,0.9,0,1,1,-0.9,0A0.9,0.9,0,1,1,0.9,0Z",
    "M-0.8,-0.8H0.8V0.8H-0.8Z",
    "M0,-1L1,0.75H-1Z",
    "M0,-1.1L1.1,0L0,1.1L-1.1,0Z",
    "M-0.35,-1H0.35V-0.35H1V0.35H0.35V1H-0.35V0.35H-1V-0.35H-0.35Z",
    "M0,1L1,-0.75H-1Z",
    "M-0.9,0L0.8,-1V1Z",
    "M0.9,0L-0.8,-1V1Z",
)
CROSS = "M-1,-1L1,1M1,-1L-1,1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    color: str
    dash: tuple[int, ...]
    marker: str


def style(index: int) -> Style:
    """The look of the arm that stands at `index` in the study."""
    color = COLORS[index] if index < len(COLORS) else OTHER
    return Style(color=color, dash=DASHES[index % len(DASHES)], marker=MARKERS[index % len(MARKERS)])
