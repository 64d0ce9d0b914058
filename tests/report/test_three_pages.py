"""A small, a hostile and a large study in a real browser: every width, every key, and axe-core's rules."""

from pathlib import Path

import pytest

from striate.report import study_facts
from striate.report.answers import StudyAnswers
from striate.report.mistakes import mistakes
from striate.report.pages import build, write
from striate.studies.results import Results
from tests.needs import needs_package
from tests.report import folders
from tests.report.test_browser import browser  # noqa: F401 - a fixture

STUDIES = {
    "small": folders.answered,
    "hostile": folders.hostile,
    "large": lambda folder: folders.many(folder, arms=60, seeds=2, epochs=8),
    "classes": lambda folder: folders.answered(folder, classes=40, images=800),
}
FOCUS = "a[href], summary, [tabindex='0']"


@pytest.fixture(scope="module", params=STUDIES)
def address(request, tmp_path_factory):
    return write(Results.read(STUDIES[request.param](tmp_path_factory.mktemp("three") / request.param))).as_uri()


def opened(browser, address, *, width=1200, scripts=False, **more):  # noqa: F811
    context = browser.new_context(java_script_enabled=scripts, viewport={"width": width, "height": 800}, **more)
    page = context.new_page()
    page.requests, page.messages = [], []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("console", lambda message: page.messages.append(message.text))
    page.goto(address)
    return page


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_the_page_never_scrolls_sideways(browser, address, width):  # noqa: F811
    page = opened(browser, address, width=width)
    for summary in page.locator("summary").all()[:12]:
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (page.requests, page.messages) == ([address], [])
    page.context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_no_text_of_a_chart_is_cut_by_its_edge(browser, address, width):  # noqa: F811
    """A browser's own font may be wider than the one that Vega measures with."""
    page = opened(browser, address, width=width)
    cut = page.evaluate(
        "[...document.querySelectorAll('svg.chart')].filter(s => s.getClientRects().length).flatMap(s => {"
        " const box = s.getBoundingClientRect();"
        " return [...s.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()])"
        " .filter(([_, b]) => b.width && (b.left < box.left - 2 || b.right > box.right + 2)).map(([text]) => text.slice(0, 60)) })"
    )
    assert cut == []
    page.context.close()


def test_the_keyboard_reaches_every_control_in_the_order_of_the_page(browser, address):  # noqa: F811
    page = opened(browser, address)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    controls = page.evaluate(f'[...document.querySelectorAll("{FOCUS}")].filter(e => e.getClientRects().length).length')
    found = []
    for _ in range(controls):
        page.keyboard.press("Tab")
        found.append(
            page.evaluate(
                f'[...document.querySelectorAll("{FOCUS}")].filter(e => e.getClientRects().length).indexOf(document.activeElement)'
            )
        )
    assert found == list(range(controls))
    page.context.close()


def test_what_is_focused_is_seen(browser, address):  # noqa: F811
    page = opened(browser, address, color_scheme="dark")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_nothing_serious(browser, address, scheme):  # noqa: F811
    needs_package("axe_playwright_python")
    from axe_playwright_python.sync_playwright import Axe

    page = opened(browser, address, scripts=True, color_scheme=scheme)
    response = Axe().run(page).response
    page.context.close()
    found = response["violations"]
    assert len(response["passes"]) > 15  # it has looked
    serious = {
        rule["id"]: [node["html"][:120] for node in rule["nodes"]][:3]
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    }
    assert serious == {}


def test_axe_core_would_find_a_fault(browser, tmp_path):  # noqa: F811
    needs_package("axe_playwright_python")
    from axe_playwright_python.sync_playwright import Axe

    path = tmp_path / "bad.html"
    path.write_text('<html><body><img src="data:,"><p style="color:#ccc">pale</p></body></html>')
    page = opened(browser, path.as_uri(), scripts=True)
    found = {rule["id"] for rule in Axe().run(page).response["violations"]}
    page.context.close()
    assert {"image-alt", "color-contrast", "html-has-lang"} <= found


def test_a_printed_page_is_light_and_cuts_no_table(browser, address):  # noqa: F811
    page = opened(browser, address, width=700, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).getPropertyValue('--paper').trim()") == "#fff"
    assert page.evaluate(
        "[...document.querySelectorAll('figure')].every(e => getComputedStyle(e).breakInside == 'avoid')"
    )
    page.context.close()


def test_the_page_keeps_its_budget(address):
    """3.5 MB for 8 arms with 5 seeds is in test_pages.py."""
    path = Path(address.removeprefix("file://"))
    assert path.stat().st_size < 10e6


def test_each_way_to_fail_is_said_at_the_top(tmp_path, monkeypatch):
    monkeypatch.setattr("striate.report.svg.is_available", lambda: False)
    source = build(Results.read(folders.hostile(tmp_path / "s")))
    top = source[: source.index('id="compared"')]
    for words in ("failed (", "diverged (", "unfinished after 2 epochs", "missing"):
        assert words in top
    assert "<script" not in source


def test_a_long_name_is_shortened_where_it_is_in_a_sentence(tmp_path):
    results = Results.read(folders.hostile(tmp_path / "s"))
    long = folders.HOSTILE[4]
    answers = StudyAnswers(results)
    assert long in answers.pair
    assert long not in answers.pair_in_words
    assert not any(long in term for term, _ in study_facts.data_facts(results))
    assert "over the 1 run that trained" in mistakes(answers).strips[0].rule
