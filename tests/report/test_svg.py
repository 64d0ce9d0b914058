"""Charts to SVG, and a renderer that raises, dies or hangs."""

import re
from threading import Event

import pytest

from striate.core.processes import Child
from striate.report import svg
from striate.report.wording import one_line

PLANTED = "tests.report.planted_renderer"


def chart(text: str, figure: str = "f", **spec) -> svg.Chart:
    """A chart that draws one text."""
    spec |= {
        "data": {"values": [{"x": 1 / 3, "name": text}]},
        "mark": {"type": "text", "text": text, "clip": True},
        "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "name", "type": "nominal"}},
    }
    return svg.Chart(figure=figure, size="wide", spec=spec, label=f"about {text}")


def test_numbers_in_names_stay_as_they_are_and_numbers_of_drawings_are_rounded():
    """A grid's arms are called by their values: lr=0.0005 must not become lr=0.00."""
    (drawing,) = svg.render([chart("lr=0.0005")])
    assert ">lr=0.0005<" in drawing.svg
    assert not re.search(r'<path[^>]* d="[^"]*\d\.\d{3}', drawing.svg)


def test_a_chart_has_the_same_bytes_whatever_is_drawn_before_it():
    first, _, again = svg.render([chart("a"), chart("b"), chart("a")])
    assert first == again
    assert 'id="f-wide-1"' in first.svg
    assert "url(#f-wide-1)" in first.svg


@pytest.mark.parametrize("plant", ["die", "raise"])
def test_a_chart_that_cannot_be_drawn_costs_no_other(plant):
    charts = [chart("a"), chart("b", plant=plant), chart("c"), chart("d", plant=plant), chart("e")]
    drawings = svg.render(charts, renderer=PLANTED)
    assert [bool(drawing.svg) for drawing in drawings] == [True, False, True, False, True]
    expected = {
        "die": svg.CRASHED,
        "raise": "vl-convert says: Error: no such mark in spec.json",
    }
    assert [drawing.failure for drawing in drawings] == ["", expected[plant], "", expected[plant], ""]


def test_a_chart_that_hangs_ends_at_the_time_limit():
    drawings = svg.render([chart("a", plant="hang"), chart("b")], renderer=PLANTED, time_limit=2)
    assert [drawing.failure for drawing in drawings] == [svg.TOO_SLOW] * 2


def test_what_was_drawn_before_a_hang_is_used(monkeypatch):
    monkeypatch.setattr(svg, "_ask", lambda renderer, charts, deadline: [{"svg": "<svg><text>drawn</text></svg>"}])
    drawn, *lost = svg.render([chart("a"), chart("b"), chart("c")], time_limit=0)
    assert ">drawn<" in drawn.svg
    assert [drawing.failure for drawing in lost] == [svg.TOO_SLOW] * 2


def test_an_interrupt_ends_the_drawing_and_the_renderer(monkeypatch):
    """Ctrl-C must not count as one crashed chart after the other."""

    class Interrupted(Event):
        def wait(self, timeout=None):
            raise KeyboardInterrupt

    children = []
    monkeypatch.setattr(svg, "Event", Interrupted)
    monkeypatch.setattr(svg, "Child", lambda *words, hear: children.append(Child(*words, hear=hear)) or children[-1])
    with pytest.raises(KeyboardInterrupt):
        svg.render([chart("a", plant="hang"), chart("b")], renderer=PLANTED)
    assert [child.has_ended() for child in children] == [True]


def test_a_renderer_that_does_not_start_draws_nothing():
    drawings = svg.render([chart("a"), chart("b")], renderer="tests.report.no_such_module")
    assert [drawing.failure for drawing in drawings] == [svg.CRASHED] * 2


@pytest.mark.parametrize("character", ["\x1b", "\0", "\x7f", "\x9f", "\u2028", "\u202e", "\u2066", "\ud800", "\uffff"])
def test_an_unprintable_character_is_drawn_as_its_escape(character):
    (drawing,) = svg.render([chart(f"b{character}")])
    escape = ascii(character)[1:-1]
    assert f">b{escape}<" in drawing.svg
    assert f"about b{escape}" in drawing.svg
    assert character not in drawing.svg


def test_the_crash_of_vl_convert_on_a_control_character_costs_one_chart(monkeypatch):
    """The real abort: what `one_line` prevents, the process of its own contains."""
    monkeypatch.setattr(svg, "one_line", lambda text: text)
    before, crashed, after = svg.render([chart("a"), chart("b\x1b"), chart("c")])
    assert ">a<" in before.svg
    assert crashed.failure == svg.CRASHED
    assert ">c<" in after.svg


def test_letters_of_every_script_stay_as_they_are():
    text = "Größe 图 שלום مرحبا \u200f émoji \U0001f600 \u00a0 −"
    assert one_line(text) == text
    assert one_line("a\tb\r\nc") == "a b  c"


def test_a_figure_that_lacks_one_size_is_not_drawn_at_any(monkeypatch):
    drawings = [svg.Drawing(svg="<svg/>"), svg.Drawing(failure="why"), svg.Drawing(svg="<svg/>")]
    monkeypatch.setattr(svg, "render", lambda charts: drawings)
    pictures = svg.pictures([chart("a", "one"), chart("b", "one"), chart("c", "two")])
    assert pictures["one"] == svg.Picture(failure="why")
    assert pictures["two"].sizes == (("wide", "<svg/>"),)
