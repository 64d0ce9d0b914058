"""Figures of grids and scales to charts: heat maps, and losses against parameters."""

import math

from striate.report.kinds import HeatMap, LossCurve, ScaleFigure
from striate.report.marks import (
    COLORS,
    DASHES,
    INK,
    MARKERS,
    MUTED,
    NARROW,
    Spec,
    axis,
    chart,
    datum,
    frame,
    line,
    marker,
)
from striate.report.wording import abbreviated, plain

_CELL_HEIGHT = 34
_FEWEST_PIXELS = 30  # of a cell that has its number printed


def heat_map_spec(figure: HeatMap, width: int) -> Spec:
    """A rectangle for each cell, the darker the larger its number, which is printed where there is room."""
    cells = [
        {
            "row": abbreviated(row) or "\N{NO-BREAK SPACE}",
            "column": column,
            "value": value,
            "text": plain(value, figure.digits),
        }
        for row, values in zip(figure.rows, figure.values, strict=True)
        for column, value in zip(figure.columns, values, strict=True)
    ]
    longest = max(len(str(cell["row"])) for cell in cells)
    x_axis = {
        "labelAngle": 0,
        "labelFlush": False,
        "domain": False,
        "ticks": False,
        "labelLimit": width / len(figure.columns),
    }
    # Vega measures in Arial, and a browser's own font may be wider.
    y_axis = {
        "labelFlush": False,
        "domain": False,
        "ticks": False,
        "labelLimit": width * 0.3,
        "minExtent": min(8.0 * longest, width * 0.36),
    }
    order: Spec = {
        "x": {
            "field": "column",
            "type": "ordinal",
            "sort": list(figure.columns),
            "title": figure.column_factor,
            "axis": x_axis,
        },
        "y": {"field": "row", "type": "ordinal", "sort": None, "title": None, "axis": y_axis},
    }
    known = [value for values in figure.values for value in values if value is not None]
    shade = {
        "field": "value", "type": "quantitative", "legend": None,
        "scale": {
            "domain": [min(known), max(known) if max(known) > min(known) else min(known) + 1], "range": [0.08, 0.62],
            "type": "log" if figure.is_logarithmic and min(known) > 0 else "linear", "nice": False, "zero": False,
        },
    }  # fmt: skip
    filled = {
        "data": {"values": [cell for cell in cells if cell["value"] is not None]},
        "mark": {"type": "rect", "color": COLORS[0]},
        "encoding": {**order, "opacity": shade},
    }
    has_room = width * 0.64 / len(figure.columns) >= _FEWEST_PIXELS
    text = {
        "data": {"values": cells},
        "mark": {"type": "text", "color": INK, "fontSize": 12 if width > NARROW else 10.5},
        "encoding": {**order, "text": {"field": "text"}} if has_room else order,
    }
    return chart([filled, text], width, _CELL_HEIGHT * len(figure.rows), fit="fit-x")


def scale_spec(figure: ScaleFigure, width: int) -> Spec:
    """Both losses over the logarithm of the parameters, above the band of sizes at which the turn may lie."""
    sizes = [mean.parameters for curve in figure.curves for mean in curve.means]
    ends = [end for c in figure.curves for m in c.means for end in (m.mean, m.low, m.high) if end is not None]
    ends += [point.loss for curve in figure.curves for point in curve.points]
    bottom, top = min(ends), max(ends)
    margin = 0.05 * (top - bottom) or 0.1
    low, high = min(sizes) / 1.3, max(sizes) * 1.3
    x_axis = {"title": "parameters", "grid": False, "format": "~s", "tickCount": 5 if width > NARROW else 3}
    x = axis("x", (low, high), x_axis)
    x["scale"]["type"] = "log"
    y_axis = {"title": "loss at the last epoch", "tickCount": 5, "domain": False, "ticks": False}
    y = axis("y", (max(0.0, bottom - margin), top + 4 * margin), y_axis)
    layers = [frame(x, y), *_turn(figure)]
    for index, curve in enumerate(figure.curves):
        layers += _loss_layers(curve, index)
    return chart(layers, width, 300 if width > NARROW else 230)


def _turn(figure: ScaleFigure) -> list[Spec]:
    if figure.turn is None:
        return []
    first, last = figure.turn
    ends = {"x": datum(first / 1.06), "x2": {"datum": last * 1.06}}
    band: Spec = {"mark": {"type": "rect", "color": "var(--band)"}, "encoding": ends}
    stroke = {"type": "rule", "color": MUTED, "strokeDash": [3, 3]}
    rule: list[Spec] = [{"mark": stroke, "encoding": {"x": datum(figure.lowest)}}] if figure.lowest else []
    return [band, *rule]


def _loss_layers(curve: LossCurve, index: int) -> list[Spec]:
    color, dash = COLORS[index], list(DASHES[index])
    bars: list[Spec] = [
        {
            "mark": {"type": "rule", "color": color, "strokeWidth": 5, "opacity": 0.28, "clip": True},
            "encoding": {"x": datum(mean.parameters), "y": datum(mean.low), "y2": {"datum": mean.high}},
        }
        for mean in curve.means
        if mean.low is not None and mean.high is not None
    ]
    through = line([(m.parameters, m.mean) for m in curve.means], color=color, strokeWidth=2, strokeDash=dash)
    dots = [marker(p.parameters, p.loss, color, MARKERS[index], 2.6) for p in curve.points if math.isfinite(p.loss)]
    # The key stands above the curves, in the part of the axis that is left free for it.
    left = 12 + index * 140
    sample: Spec = {
        "mark": {"type": "rule", "color": color, "strokeWidth": 2, "strokeDash": dash},
        "encoding": {"x": {"value": left}, "x2": {"value": left + 26}, "y": {"value": 9}},
    }
    name: Spec = {
        "mark": {"type": "text", "text": curve.name, "color": INK, "align": "left", "fontSize": 11.5},
        "encoding": {"x": {"value": left + 32}, "y": {"value": 9}},
    }
    return [*bars, through, *dots, sample, name]
