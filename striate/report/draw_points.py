"""Charts of points: cost, accuracy of each class, calibration. Numbers in, Vega-Lite specifications out."""

import math

from striate.report.classes import MOST_CLASSES, ClassesFigure
from striate.report.costs import ArmCost, CostFigure
from striate.report.marks import (
    INK,
    MUTED,
    PAPER,
    WIDEST_FONT,
    Spec,
    arm_style,
    axis,
    chart,
    datum,
    field,
    frame,
    line,
    marker,
    padded_range,
)
from striate.report.trust import CalibrationFigure
from striate.report.wording import abbreviated

_MOST_NAMED = 8  # arms with their names in a chart of points
_CLASS_ROW, _LETTER = 22, 7.6  # pixels; a letter in a wide font


def cost_spec(figure: CostFigure, width: int, height: int, by: str) -> Spec:
    """Accuracy against `by`: seconds or parameters. The least and the most are told apart by a logarithm where they differ much."""
    xs = [_x(arm, by) for arm in figure.arms]
    ends = [end for arm in figure.arms for end in (arm.accuracy, arm.low, arm.high) if end is not None]
    low, high = padded_range(ends)
    is_log = min(xs) > 0 and max(xs) / min(xs) > 20
    title = "time of a run (s)" if by == "seconds" else "parameters"
    x = axis("x", _x_domain(xs, is_log), {"title": title, "grid": False, "tickCount": 5, "format": "~s"})
    if is_log:
        x["scale"]["type"] = "log"
    y = axis(
        "y",
        (max(low, 0.0), min(high, 100.0)),
        {"title": "test accuracy (%)", "tickCount": 5, "domain": False, "ticks": False},
    )
    layers = [frame(x, y)]
    for arm in figure.arms:
        if arm.low is not None and arm.high is not None:
            bar = {"type": "rule", "color": arm_style(arm.index).color, "strokeWidth": 4, "opacity": 0.3, "clip": True}
            ends_of_bar = {"x": datum(_x(arm, by)), "y": datum(arm.low), "y2": {"datum": arm.high}}
            layers.append({"mark": bar, "encoding": ends_of_bar})
    for arm in figure.arms:
        style = arm_style(arm.index)
        layers.append(marker(_x(arm, by), arm.accuracy, style.color, style.marker, 4.6))
    named = [arm for arm in figure.arms if len(figure.arms) <= _MOST_NAMED or arm.is_efficient][:_MOST_NAMED]
    # A name stands on the side that has more room.
    left, right = _x_domain(xs, is_log)
    middle = math.sqrt(left * right) if is_log else (left + right) / 2
    layers += [_name(arm, _x(arm, by), is_right=_x(arm, by) <= middle, width=width) for arm in named]
    return chart(layers, width, height)


def classes_spec(figure: ClassesFigure, width: int, indices: tuple[int, ...]) -> Spec:
    """A row for each class: a marker for each arm, joined by a line."""
    rows = figure.classes
    if len(rows) > MOST_CLASSES:
        rows = (*rows[: MOST_CLASSES // 2], *rows[-MOST_CLASSES // 2 :])
    names = [abbreviated(row.name) for row in rows]
    values = [value for row in rows for value in row.values]
    room = 110 if width < 500 else 220  # for the names, in the widest font
    low, high = padded_range(values)
    x = axis(
        "x",
        (max(low, 0.0), min(high, 100.0)),
        {"title": "accuracy of the class (%)", "tickCount": 6, "ticks": False, "domain": False, "orient": "top"},
    )
    y = {
        "field": "name", "type": "ordinal", "sort": None, "scale": {"domain": names},
        "axis": {
            "title": None, "domain": False, "ticks": False, "labelFlush": False,
            "labelLimit": room / WIDEST_FONT, "labelColor": INK, "labelPadding": 8,
            "minExtent": min(_LETTER * max(map(len, names)), room) + 8,
        },
    }  # fmt: skip
    data = [
        {"name": name, "low": min(row.values), "high": max(row.values)} for name, row in zip(names, rows, strict=True)
    ]
    joined = {
        "data": {"values": data},
        "mark": {"type": "rule", "color": MUTED, "strokeWidth": 1.4},
        "encoding": {
            "x": {**field("low"), **{key: x[key] for key in ("scale", "axis")}},
            "x2": {"field": "high"},
            "y": y,
        },
    }
    layers: list[Spec] = [joined]
    for position, index in enumerate(indices):
        style = arm_style(index)
        points = [{"name": name, "value": row.values[position]} for name, row in zip(names, rows, strict=True)]
        mark = {
            "type": "point",
            "shape": style.marker,
            "size": 66,
            "opacity": 1,
            "fill": style.color,
            "stroke": PAPER,
            "strokeWidth": 0.8,
        }
        layers.append({"data": {"values": points}, "mark": mark, "encoding": {"x": field("value"), "y": y}})
    return chart(layers, width, max(_CLASS_ROW * len(rows), 60), fit="fit-x")


def calibration_spec(figure: CalibrationFigure, width: int, height: int) -> Spec:
    """Accuracy against confidence, over the diagonal."""
    points = [point for curve in figure.curves for point in curve.points]
    low = max(0.0, min(min(point) for point in points) - 5)
    ticks = {"tickCount": 5, "domain": False, "ticks": False}
    x = axis("x", (low, 100), {"title": "confidence (%)", "grid": False, **ticks})
    y = axis("y", (low, 100), {"title": "accuracy (%)", **ticks})
    layers = [frame(x, y), line([(low, low), (100, 100)], color=MUTED, strokeWidth=1, strokeDash=[3, 3])]
    for curve in figure.curves:
        style = arm_style(curve.index)
        layers.append(line(curve.points, color=style.color, strokeWidth=2, strokeDash=list(style.dash)))
        layers += [marker(x, y, style.color, style.marker, 4) for x, y in curve.points]
    return chart(layers, width, height)


def _x(arm: ArmCost, by: str) -> float:
    return arm.seconds if by == "seconds" else arm.parameters


def _x_domain(values: list[float], is_log: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if is_log:
        return low / 1.6, high * 1.6
    padding = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    return max(low - padding, 0.0), high + padding


def _name(arm: ArmCost, x: float, *, is_right: bool, width: int) -> Spec:
    text = {
        "type": "text", "text": abbreviated(arm.arm), "align": "left" if is_right else "right", "dx": 9 if is_right else -9,
        "baseline": "middle", "fontSize": 11.5, "color": INK, "limit": width * 0.36 / WIDEST_FONT,
    }  # fmt: skip
    return {"mark": text, "encoding": {"x": datum(x), "y": datum(arm.accuracy)}}
