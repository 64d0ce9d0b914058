"""The smallest parts of a drawing, as Vega-Lite: marks, axes, a chart of layers. All looks that charts share are here."""

from collections.abc import Iterable
from typing import Any

from striate.report.styles import CROSS

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
