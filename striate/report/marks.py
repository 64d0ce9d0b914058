"""The parts that charts are made of, as Vega-Lite: markers, lines, axes, a chart of layers, and the style of each arm.

An arm has the same color, dash and marker in every figure, by its index in the study. Colors are names of CSS variables
(`report.css` gives their values, for light and for dark pages), so a chart follows the page that it is in. Dash and
marker tell the arms apart where color cannot: in print, and for color-blind readers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

WIDE, NARROW = 720, 340  # of a chart in pixels: on a desk, on a phone
# Vega measures text in Arial. A browser's own font may be a quarter wider, so a name is cut earlier than Vega would.
WIDEST_FONT = 1.25

INK, MUTED, RULE, PAPER = "var(--ink)", "var(--muted)", "var(--rule)", "var(--paper)"

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
class ArmStyle:
    color: str
    dash: tuple[int, ...]
    marker: str


def arm_style(index: int) -> ArmStyle:
    """The style of the arm at `index` in the study."""
    color = COLORS[index] if index < len(COLORS) else OTHER
    return ArmStyle(color=color, dash=DASHES[index % len(DASHES)], marker=MARKERS[index % len(MARKERS)])


def chart(layers: list[Spec], width: int, height: int, fit: str = "fit") -> Spec:
    """Layers as one chart, in pixels. `fit="fit-x"`: `height` is that of the plot alone, without its axis."""
    axis_config = {
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
        "data": {"values": [{}]},  # for the marks at a fixed position: one datum each
        "layer": layers,
        "config": {"aria": False, "font": "system-ui, sans-serif", "view": {"stroke": None}, "axis": axis_config},
    }


def line(points: Iterable[tuple[float, float]], **mark: Any) -> Spec:
    """A line through `points`; `mark` holds its color, width, dash and opacity."""
    return {
        "data": {"values": [{"x": x, "y": y} for x, y in points]},
        "mark": {"type": "line", "clip": True, "strokeJoin": "round", **mark},
        "encoding": {"x": field("x"), "y": field("y")},
    }


def marker(x: float, y: float, color: str, shape: str, radius: float = 4.2) -> Spec:
    """A marker with a rim in the color of the page; a cross has no inside and is drawn in its own color."""
    rim = (
        {"stroke": color, "strokeWidth": 2, "fill": None}
        if shape == CROSS
        else {"fill": color, "stroke": PAPER, "strokeWidth": 0.8}
    )
    return {
        "mark": {"type": "point", "shape": shape, "size": 4 * radius**2, "opacity": 1, **rim},
        "encoding": {"x": datum(x), "y": datum(y)},
    }


def frame(x: Spec, y: Spec) -> Spec:
    """The layer that defines both axes and draws nothing else."""
    return {"mark": {"type": "point", "opacity": 0}, "encoding": {"x": x, "y": y}}


def axis(name: str, domain: tuple[float, float], axis: Spec | None) -> Spec:
    scale = {"domain": list(domain), "nice": False, "zero": False}
    return {"field": name, "type": "quantitative", "scale": scale, "axis": axis}


def datum(value: float) -> Spec:
    """A fixed position, in units of the axis."""
    return {"datum": value, "type": "quantitative"}


def field(name: str) -> Spec:
    return {"field": name, "type": "quantitative"}


def padded_range(values: list[float], least: float = 0.1) -> tuple[float, float]:
    """From the least to the largest value with 5 % on each side, and `least` or more."""
    low, high = min(values), max(values)
    padding = max((high - low) * 0.05, least)
    return low - padding, high + padding
