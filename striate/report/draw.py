"""Figures to Vega-Lite dictionaries. Pure: numbers in, a specification out; `svg` renders it.

Accuracies and differences are strips: a row has its words above and its numbers below, so that a long name costs
height and no width, and the same drawing serves a telephone (NARROW) and a desk (WIDE).
"""

import math
from collections.abc import Iterable

from striate.report.curves import ArmCurve, Panel
from striate.report.figures import AccuraciesFigure, DifferencesFigure, mean_difference
from striate.report.marks import (
    CROSS,
    INK,
    MUTED,
    PAPER,
    Spec,
    Style,
    at,
    axis,
    chart,
    domain,
    field,
    mark,
    path,
    style,
)
from striate.report.wording import between_signed, pair, percent, plain, signed
from striate.studies.statistics import Interval

WIDE, NARROW, PANEL = 720, 340, 290
_ROW, _WORDS, _NUMBERS = 54, 12, 38  # height of a row; where in it the words and the numbers stand
_LETTER = 6.6  # mean width in pixels of a letter at 12 px, generous: words are cut before they collide


def accuracies_spec(figure: AccuraciesFigure, width: int) -> Spec:
    """One strip an arm: dots, interval, mean."""
    layers: list[Spec] = []
    for row, arm in enumerate(figure.arms):
        span = f" ({plain(arm.interval.low)} to {plain(arm.interval.high)})" if arm.interval else ""
        layers += _words(row, arm.arm, f"{percent(arm.mean)}{span}" if arm.points else "no result", width)
        sound = [(p.value, p.seed) for p in arm.points if not p.diverged]
        crossed = [(p.value, p.seed) for p in arm.points if p.diverged]
        layers += _strip(row, style(row), sound, crossed, arm.mean, arm.interval)
    values = [p.value for arm in figure.arms for p in arm.points]
    ends = [end for arm in figure.arms if arm.interval for end in (arm.interval.low, arm.interval.high)]
    low, high = domain(values + ends)
    # A t interval knows nothing of 0 and 100; the axis does, and the bar is cut there.
    return _strips(layers, len(figure.arms), (max(low, 0.0), min(high, 100.0)), "test accuracy (%)", width)


def differences_spec(figure: DifferencesFigure, width: int) -> Spec:
    """One strip a comparison over the band of what does not matter."""
    rows, matters = len(figure.verdicts), figure.matters
    band = {"mark": {"type": "rect", "color": "var(--band)"}, "encoding": {"x": at(-matters), "x2": {"datum": matters}}}
    zero = {"mark": {"type": "rule", "color": MUTED, "strokeWidth": 1}, "encoding": {"x": at(0)}}
    layers: list[Spec] = []
    ends = [-1.6 * matters, 1.6 * matters]
    neutral = Style(color=INK, dash=(), marker=style(0).marker)
    for row, verdict in enumerate(figure.verdicts):
        span = f" ({between_signed(verdict.interval.low, verdict.interval.high)})" if verdict.interval else ""
        number = f"{signed(mean_difference(verdict))}{span}"
        name = pair(verdict.first, verdict.second)
        layers += _words(row, name, f"{verdict.label}, {number}" if width > NARROW else number, width)
        points = [(value, seed) for seed, value in verdict.differences.items()]
        layers += _strip(row, neutral, points, [], mean_difference(verdict), verdict.interval)
        ends += list(verdict.differences.values())
        ends += [verdict.interval.low, verdict.interval.high] if verdict.interval else []
    return _strips([band, zero, *layers], rows, domain(ends), "difference of test accuracy (points)", width)


def panel_spec(panel: Panel, width: int, height: int) -> Spec:
    """Every arm in one pair of axes: bands below, thin lines, means above, ends marked."""
    drawn = [(style(i), curve) for i, curve in enumerate(panel.arms) if curve.lines]
    # More lines need thinner ink, or forty of them bury the means.
    faint = 0.42 if sum(len(curve.lines) for _, curve in drawn) <= 12 else 0.22
    low, high = _heights([curve for _, curve in drawn], panel.unit == "%")
    last = max((line.points[-1][0] for _, curve in drawn for line in curve.lines), default=1)
    axes = {
        "x": axis(
            "x", (1, max(last, 2)), {"title": "epoch", "grid": False, "values": _whole_ticks(last), "format": "d"}
        ),
        "y": axis("y", (low, high), {"title": None, "tickCount": 5, "domain": False, "ticks": False}),
    }
    frame = {"mark": {"type": "point", "opacity": 0}, "encoding": axes}
    layers = [frame]
    layers += [_band(curve, look) for look, curve in drawn if any(mean.low is not None for mean in curve.means)]
    layers += [_thin(line.points, look, faint) for look, curve in drawn for line in curve.lines]
    layers += [_thick(curve, look) for look, curve in drawn if curve.means]
    layers += [_end(curve, look) for look, curve in drawn if curve.means]
    crossed = [(line.points[-1], look) for look, curve in drawn for line in curve.lines if line.diverged]
    layers += [mark(x, max(low, min(high, y)), look.color, CROSS) for (x, y), look in crossed]
    return chart(layers, width, height)


def _words(row: int, left: str, right: str, width: int) -> list[Spec]:
    """The name and its number above a strip; the name gives way."""
    room = max(width - _LETTER * len(right) - 24, 80)
    top = row * _ROW
    y = {"datum": top + _WORDS}
    # Paper behind the words: grid and band belong to the numbers.
    paper = {
        "mark": {"type": "rect", "color": PAPER},
        "encoding": {"x": {"value": 0}, "x2": {"value": "width"}, "y": {"datum": top - 1}, "y2": {"datum": top + 23}},
    }
    common = {"type": "text", "baseline": "middle", "fontSize": 12.5, "clip": False}
    return [
        paper,
        {
            "mark": {**common, "text": left, "align": "left", "fontWeight": 600, "color": INK, "limit": room},
            "encoding": {"x": {"value": 0}, "y": y},
        },
        {
            "mark": {**common, "text": right, "align": "right", "color": INK},
            "encoding": {"x": {"value": "width"}, "y": y},
        },
    ]


def _strip(
    row: int,
    look: Style,
    dots: list[tuple[float, int]],
    crosses: list[tuple[float, int]],
    mean: float | None,
    span: Interval | None,
) -> list[Spec]:
    y = row * _ROW + _NUMBERS
    layers: list[Spec] = []
    if span:
        bar = {
            "type": "rule",
            "color": look.color,
            "strokeWidth": 7,
            "opacity": 0.28,
            "strokeCap": "round",
            "clip": True,
        }
        layers.append({"mark": bar, "encoding": {"x": at(span.low), "x2": {"datum": span.high}, "y": {"datum": y}}})
    # Seeds are set a little above and below the line by turns, so that equal values stay apart.
    layers += [mark(x, y + (3 if seed % 2 else -3), look.color, look.marker) for x, seed in dots]
    layers += [mark(x, y, look.color, CROSS) for x, _ in crosses]
    if mean is not None:
        stroke = {"type": "rule", "color": INK, "strokeWidth": 2}
        layers.append({"mark": stroke, "encoding": {"x": at(mean), "y": {"datum": y - 9}, "y2": {"datum": y + 9}}})
    return layers


def _strips(layers: list[Spec], rows: int, domain: tuple[float, float], title: str, width: int) -> Spec:
    """Rows from the top down in pixels: the y axis is the drawing's own height."""
    height = rows * _ROW
    x = axis("x", domain, {"title": title, "domain": False, "ticks": False, "tickCount": 8 if width > NARROW else 5})
    y = axis("y", (0, height), None)
    y["scale"]["reverse"] = True
    frame = {"mark": {"type": "point", "opacity": 0}, "encoding": {"x": x, "y": y}}
    return chart([frame, *layers], width, height, fit="fit-x")


def _band(curve: ArmCurve, look: Style) -> Spec:
    values = [{"x": m.epoch, "y": m.low, "z": m.high} for m in curve.means if m.low is not None]
    encoding = {"x": field("x"), "y": field("y"), "y2": {"field": "z"}}
    return {
        "data": {"values": values},
        "mark": {"type": "area", "color": look.color, "opacity": 0.15, "clip": True},
        "encoding": encoding,
    }


def _thin(points: Iterable[tuple[float, float]], look: Style, opacity: float) -> Spec:
    return path(points, {"color": look.color, "strokeWidth": 0.9, "opacity": opacity})


def _thick(curve: ArmCurve, look: Style) -> Spec:
    return path(
        [(m.epoch, m.mean) for m in curve.means], {"color": look.color, "strokeWidth": 2, "strokeDash": list(look.dash)}
    )


def _end(curve: ArmCurve, look: Style) -> Spec:
    return mark(curve.means[-1].epoch, curve.means[-1].mean, look.color, look.marker, 3.6)


def _whole_ticks(last: int) -> list[int]:
    """At most six epochs to name; the library's own ticks fall between two of them when there are few."""
    steps = (n * 10**power for power in range(9) for n in (1, 2, 5))
    step = next(step for step in steps if last // step <= 6)
    return list(range(step, last + 1, step))


def _heights(curves: list[ArmCurve], is_share: bool) -> tuple[float, float]:
    """What the y axis spans. Diverged runs have no say (unless there is nothing else): a loss of 1e30 would flatten all others."""
    lines = [line for curve in curves for line in curve.lines]
    lines = [line for line in lines if not line.diverged] or lines
    values = sorted(y for line in lines for _, y in line.points if math.isfinite(y))
    if not values:
        return 0.0, 1.0
    low, high = domain(values) if is_share else (0.0, 1.04 * values[-1] or 1.0)
    return (max(low, 0.0), min(high, 100.0)) if is_share else (low, high)
