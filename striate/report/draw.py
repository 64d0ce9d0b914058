"""Figures to charts. Pure: numbers in, Vega-Lite specifications out; `svg` renders them.

Accuracies and differences are rows with their text above and their numbers below: a long name costs height and no
width, so one design serves a phone (NARROW) and a desk (WIDE). The style sheet shows the size that fits the page.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

from striate.report.contents import Figures
from striate.report.curves import MOST_PLOTS, ArmCurve, CurvesFigure, Line, Panel
from striate.report.draw_kinds import heat_map_spec, scale_spec
from striate.report.draw_points import calibration_spec, classes_spec, cost_spec
from striate.report.figures import AccuraciesFigure, DifferencesFigure, dots_in_a_row, mean_difference
from striate.report.marks import (
    CROSS,
    INK,
    MUTED,
    NARROW,
    PAPER,
    WIDE,
    WIDEST_FONT,
    ArmStyle,
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
from striate.report.svg import Chart
from striate.report.wording import abbreviated, pair
from striate.verdicts.intervals import Interval

_MULTIPLE = (200, 140)  # the plot of one of many arms, in pixels
PANEL = 290
_ROW, _TEXT, _NUMBERS = 54, 12, 38  # height of a row, and where in it the text and the numbers are
_DIGIT = 8.0  # pixels of a digit in a wide font


def charts(figures: Figures, arms: Sequence[str]) -> list[Chart]:
    """Every chart of a page, at each size that the style sheet chooses from. `arms`: all of the study, in its order."""
    drawn = [
        Chart(figure=name, size=size, spec=spec, label=label)
        for size, width in (("wide", WIDE), ("narrow", NARROW))
        for name, spec, label in _of_full_width(figures, width, arms)
    ]
    if figures.curves:
        drawn += _curve_charts(figures.curves)
    if cost := figures.cost:
        by = ["seconds", *(["parameters"] if cost.is_in_size_too else [])]
        drawn += [
            Chart(figure=f"cost-{key}", size="small", spec=cost_spec(cost, NARROW, 260, key), label=cost.title)
            for key in by
        ]
    if calibration := figures.calibration:
        spec = calibration_spec(calibration, NARROW, 300)
        drawn.append(Chart(figure="calibration", size="small", spec=spec, label=calibration.title))
    return drawn


def _of_full_width(figures: Figures, width: int, arms: Sequence[str]) -> Iterator[tuple[str, Spec, str]]:
    """Name, chart and label of each figure that takes the width of the page."""
    if accuracies := figures.accuracies:
        yield "accuracies", accuracies_spec(accuracies, width), accuracies.title
    if differences := figures.differences:
        yield "differences", differences_spec(differences, width), differences.title
    for name, made in figures.maps.items():
        yield name, heat_map_spec(made, width), made.title
    if scale := figures.scale:
        yield "scale", scale_spec(scale, width), scale.title
    if classes := figures.classes:
        indices = tuple(arms.index(arm) for arm in classes.arms)
        yield "classes", classes_spec(classes, width, indices), classes.title


def _curve_charts(curves: CurvesFigure) -> list[Chart]:
    """One chart a panel; of many arms, whose bands would hide each other, one a panel and arm."""
    if not curves.is_crowded:
        return [
            Chart(figure=f"curves-{i}", size="small", spec=panel_spec(panel, PANEL, 215), label=panel.title)
            for i, panel in enumerate(curves.panels, 1)
        ]
    return [
        Chart(figure=f"curves-{i}", size=f"plot-{k}", spec=spec, label=f"{panel.name} of {arm}")
        for i, panel in enumerate(curves.panels, 1)
        for k, (arm, spec) in enumerate(multiples(panel, curves.plotted), 1)
    ]


def accuracies_spec(figure: AccuraciesFigure, width: int) -> Spec:
    """A row for each arm: dots, interval, mean."""
    layers: list[Spec] = []
    for row, arm in enumerate(figure.arms):
        text = figure.words.value(arm.mean) if arm.points else "no result"
        if arm.interval and width > NARROW:
            text += f" ({figure.words.between(arm.interval)})"
        layers += _row_text(row, arm.arm, text, width)
        dots = _few([(point.value, point.seed) for point in arm.points if point.trained], len(figure.arms))
        crosses = [point.value for point in arm.points if not point.trained]
        layers += _row_marks(row, arm_style(row), dots, crosses, arm.mean, arm.interval)
    values = [point.value for arm in figure.arms for point in arm.points]
    ends = [end for arm in figure.arms if arm.interval for end in (arm.interval.low, arm.interval.high)]
    low, high = padded_range(values + ends, 10.0**-figure.words.digits)
    # A t interval may reach past 0 or 100; the axis does not, and the bar is cut there.
    least, most = figure.words.limits
    return _rows_chart(layers, len(figure.arms), (max(low, least), min(high, most)), figure.words.axis, width)


def differences_spec(figure: DifferencesFigure, width: int) -> Spec:
    """A row for each comparison, over the band of differences that do not matter."""
    words, (low, high) = figure.words, figure.band
    band = {
        "mark": {"type": "rect", "color": "var(--band)"},
        "encoding": {"x": datum(low), "x2": {"datum": high}},
    }
    zero = {"mark": {"type": "rule", "color": MUTED, "strokeWidth": 1}, "encoding": {"x": datum(0)}}
    layers: list[Spec] = [band, zero]
    ends = [1.6 * low, 1.6 * high]
    neutral = ArmStyle(color=INK, dash=(), marker=arm_style(0).marker)
    for row, verdict in enumerate(figure.verdicts):
        mean, interval = mean_difference(verdict), verdict.interval
        text = words.difference(mean)
        if width > NARROW:
            span = f" ({words.between_differences(interval)})" if interval else ""
            text = f"{verdict.label}, {text}{span}"
        layers += _row_text(row, pair(verdict.first, verdict.second), text, width)
        dots = _few([(difference, seed) for seed, difference in verdict.differences.items()], len(figure.verdicts))
        layers += _row_marks(row, neutral, dots, [], mean, interval)
        ends += verdict.differences.values()
        ends += [interval.low, interval.high] if interval else []
    domain = padded_range(ends, 10.0**-words.digits)
    return _rows_chart(layers, len(figure.verdicts), domain, words.difference_axis, width)


def panel_spec(panel: Panel, width: int, height: int) -> Spec:
    """Every arm in one pair of axes: bands at the bottom, then thin lines, means, and a marker at each end."""
    drawn = [(arm_style(i), curve) for i, curve in enumerate(panel.arms) if curve.lines]
    low, high, last = _ranges(panel)
    return chart([_axes(low, high, last, 5), *_curve_layers(drawn, low, high)], width, height)


def multiples(panel: Panel, plotted: Sequence[str]) -> Iterator[tuple[str, Spec]]:
    """A small plot for each arm in `plotted`, over the means of all in gray; all have the same axes."""
    low, high, last = _ranges(panel)
    others = _others(panel)
    for style, curve in ((arm_style(i), curve) for i, curve in enumerate(panel.arms) if curve.arm in plotted):
        name = {"text": abbreviated(curve.arm), "anchor": "start", "fontSize": 11.5, "fontWeight": 600, "color": INK}
        layers = [_axes(low, high, last, 3), others, *_curve_layers([(style, curve)], low, high)]
        yield (
            curve.arm,
            {**chart(layers, *_MULTIPLE), "title": {**name, "limit": (_MULTIPLE[0] - 10) / WIDEST_FONT, "offset": 4}},
        )


def _others(panel: Panel) -> Spec:
    """The mean of each arm as a gray line; of very many, the range that they cover."""
    means = [[(mean.epoch, mean.mean) for mean in curve.means] for curve in panel.arms if curve.means]
    if len(means) <= MOST_PLOTS:
        # One path for all: a value that is missing breaks it.
        points = [{"x": x, "y": y} for of_arm in means for x, y in [*of_arm, (of_arm[-1][0], None)]]
        ordered = [{**point, "n": n} for n, point in enumerate(points)]
        mark = {
            "type": "line",
            "clip": True,
            "color": MUTED,
            "strokeWidth": 0.8,
            "opacity": 0.45,
            "invalid": "break-paths-filter-domains",
        }
        return {
            "data": {"values": ordered},
            "mark": mark,
            "encoding": {"x": field("x"), "y": field("y"), "order": field("n")},
        }
    by_epoch: dict[int, list[float]] = {}
    for epoch, mean in itertools.chain.from_iterable(means):
        by_epoch.setdefault(epoch, []).append(mean)
    values = [{"x": epoch, "low": min(of_epoch), "high": max(of_epoch)} for epoch, of_epoch in sorted(by_epoch.items())]
    area = {"type": "area", "color": MUTED, "opacity": 0.2, "clip": True}
    encoding = {"x": field("x"), "y": field("low"), "y2": {"field": "high"}}
    return {"data": {"values": values}, "mark": area, "encoding": encoding}


def _ranges(panel: Panel) -> tuple[float, float, int]:
    """Of the y axis, and the last epoch."""
    lines = [run for curve in panel.arms for run in curve.lines]
    return *_y_range(lines, is_percent=panel.unit == "%"), max((run.points[-1][0] for run in lines), default=1)


def _axes(low: float, high: float, last: int, ticks: int) -> Spec:
    x_axis = {
        "title": "epoch" if ticks > 3 else None,
        "grid": False,
        "values": _epoch_ticks(last, ticks + 1),
        "format": "d",
    }
    y_axis = {"title": None, "tickCount": ticks, "domain": False, "ticks": False}
    return frame(axis("x", (1, max(last, 2)), x_axis), axis("y", (low, high), y_axis))


def _curve_layers(drawn: Sequence[tuple[ArmStyle, ArmCurve]], low: float, high: float) -> list[Spec]:
    lines = [(style, run) for style, curve in drawn for run in curve.lines]
    means = [(style, curve) for style, curve in drawn if curve.means]
    layers = [_band(curve, style) for style, curve in means if any(mean.low is not None for mean in curve.means)]
    # Many lines are drawn fainter, or they would hide the means.
    opacity = 0.42 if len(lines) <= 12 else 0.22
    layers += [line(run.points, color=style.color, strokeWidth=0.9, opacity=opacity) for style, run in lines]
    for style, curve in means:
        points = [(mean.epoch, mean.mean) for mean in curve.means]
        layers.append(line(points, color=style.color, strokeWidth=2, strokeDash=list(style.dash)))
    for style, curve in means:
        layers.append(marker(curve.means[-1].epoch, curve.means[-1].mean, style.color, style.marker, 3.6))
    for style, (x, y) in [(style, run.points[-1]) for style, run in lines if run.diverged]:
        layers.append(marker(x, max(low, min(high, y)), style.color, CROSS))
    return layers


def _row_text(row: int, left: str, right: str, width: int) -> list[Spec]:
    """The name and its number above a row; a name that is too long is cut."""
    top = row * _ROW
    y = {"datum": top + _TEXT}
    # Grid and band belong to the numbers, so the text covers them.
    background = {
        "mark": {"type": "rect", "color": PAPER},
        "encoding": {"x": {"value": 0}, "x2": {"value": "width"}, "y": {"datum": top - 1}, "y2": {"datum": top + 23}},
    }
    common = {"type": "text", "baseline": "middle", "fontSize": 12.5, "clip": False, "color": INK}
    limit = (width - _DIGIT * len(right) - 16) / WIDEST_FONT
    name = {**common, "text": abbreviated(left), "align": "left", "fontWeight": 600, "limit": limit}
    number = {**common, "text": right, "align": "right"}
    return [
        background,
        {"mark": name, "encoding": {"x": {"value": 0}, "y": y}},
        {"mark": number, "encoding": {"x": {"value": "width"}, "y": y}},
    ]


def _few(dots: list[tuple[float, int]], rows: int) -> list[tuple[float, int]]:
    """Every k-th of too many dots."""
    return dots[:: max(1, -(-len(dots) // dots_in_a_row(rows)))]


def _row_marks(
    row: int,
    style: ArmStyle,
    dots: list[tuple[float, int]],
    crosses: list[float],
    mean: float | None,
    interval: Interval | None,
) -> list[Spec]:
    """The interval as a bar, a dot for each (value, seed), a cross for each run that did not train, the mean as a stroke."""
    y = row * _ROW + _NUMBERS
    layers: list[Spec] = []
    if interval:
        bar = {
            "type": "rule",
            "color": style.color,
            "strokeWidth": 7,
            "opacity": 0.28,
            "strokeCap": "round",
            "clip": True,
        }
        ends = {"x": datum(interval.low), "x2": {"datum": interval.high}, "y": {"datum": y}}
        layers.append({"mark": bar, "encoding": ends})
    # Seeds alternate a little above and below the line, so that equal values stay apart.
    layers += [marker(x, y + (3 if seed % 2 else -3), style.color, style.marker) for x, seed in dots]
    layers += [marker(x, y, style.color, CROSS) for x in crosses]
    if mean is not None:
        stroke = {"type": "rule", "color": INK, "strokeWidth": 2}
        layers.append({"mark": stroke, "encoding": {"x": datum(mean), "y": {"datum": y - 9}, "y2": {"datum": y + 9}}})
    return layers


def _rows_chart(layers: list[Spec], rows: int, domain: tuple[float, float], title: str, width: int) -> Spec:
    """Rows from top to bottom; the y axis is in pixels."""
    height = rows * _ROW
    ticks = 8 if width > NARROW else 5
    x = axis("x", domain, {"title": title, "domain": False, "ticks": False, "tickCount": ticks})
    y = axis("y", (0, height), None)
    y["scale"]["reverse"] = True
    return chart([frame(x, y), *layers], width, height, fit="fit-x")


def _band(curve: ArmCurve, style: ArmStyle) -> Spec:
    values = [{"x": mean.epoch, "low": mean.low, "high": mean.high} for mean in curve.means if mean.low is not None]
    return {
        "data": {"values": values},
        "mark": {"type": "area", "color": style.color, "opacity": 0.15, "clip": True},
        "encoding": {"x": field("x"), "y": field("low"), "y2": {"field": "high"}},
    }


def _epoch_ticks(last: int, most: int = 6) -> list[int]:
    """At most so many whole epochs; Vega's own ticks fall between epochs when there are few."""
    steps = (n * 10**power for power in range(9) for n in (1, 2, 5))
    step = next(step for step in steps if last // step <= most)
    return list(range(step, last + 1, step))


def _y_range(lines: list[Line], *, is_percent: bool) -> tuple[float, float]:
    """The range of the y axis. Diverged runs are left out unless there is nothing else: a loss of 1e30 would flatten all others."""
    sound = [run for run in lines if not run.diverged] or lines
    values = [y for run in sound for _, y in run.points if math.isfinite(y)]
    if not values:
        return 0.0, 1.0
    if not is_percent:
        # An axis that starts at 0 shows ratios; one that squeezes all curves into its upper half shows nothing.
        low, high = min(values), max(values)
        return (
            (0.0, 1.04 * high or 1.0)
            if low < 0.4 * high
            else (low - 0.05 * (high - low), high + 0.05 * (high - low) or 1.0)
        )
    low, high = padded_range(values)
    return max(low, 0.0), min(high, 100.0)
