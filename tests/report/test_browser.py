"""The page in a real browser, from a file, with JavaScript off: light, dark, narrow, printed."""

import itertools
import re

import pytest
from playwright.sync_api import sync_playwright

from striate.report import pages
from striate.report.pages import write
from striate.studies.results import Results
from tests.needs import needs_program
from tests.report import folders
from tests.report.explained import explain

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser():
    chromium = needs_program("chromium", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    return write(Results.read(folders.troubled(tmp_path_factory.mktemp("browser") / "study"))).as_uri()


@pytest.fixture(scope="module")
def wide_address(tmp_path_factory) -> str:
    return write(Results.read(folders.wide(tmp_path_factory.mktemp("browser") / "wide"))).as_uri()


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 360), ("dark", 320)], ids=lambda p: f"{p[0]}-{p[1]}")
def page(request, browser, address):
    scheme, width = request.param
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page = context.new_page()
    page.messages, page.requests = [], []
    page.on("console", lambda message: page.messages.append(message.text))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(address)
    yield page
    context.close()


def test_the_page_is_whole_without_console_messages_and_within_its_width(page, address):
    for name, title in pages.SECTIONS:
        assert page.locator(f"section#{name} h2").inner_text().endswith(title)
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wider = page.evaluate(
        "w => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > w + 1"
        " && !e.closest('.scroll, pre, .skip, svg')).map(e => e.outerHTML.slice(0, 90))",
        width,
    )
    assert wider == []
    assert page.messages == []
    assert page.requests == [address]


@pytest.mark.parametrize("width", [360, 1200])
def test_pictures_of_any_width_are_seen_and_scroll(width, browser, tmp_path):
    folder = folders.two_arms(tmp_path / "s")
    for run in ("plain/seed-2", "normalized/seed-0"):
        explain(folder / run, width=700 if run.startswith("plain") else 60)
    context = browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(write(Results.read(folder)).as_uri())
    boxes = page.evaluate(
        "[...document.querySelectorAll('#inside img')].map(e => [e.getBoundingClientRect().width, e.naturalWidth,"
        " e.closest('.scroll').tabIndex])"
    )
    assert boxes == [[700, 700, 0]] * 2 + [[60, 60, 0]] * 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize("width", [360, 720, 1200])
def test_nothing_is_wider_than_the_page_whatever_the_names(browser, wide_address, width):
    context = browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(wide_address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # A drawing must fit; what is in it is clipped by it.
    wider = page.evaluate(
        "w => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > w + 1"
        " && !e.closest('.scroll, pre, .skip') && !e.parentElement.closest('svg')).map(e => e.outerHTML.slice(0, 90))",
        width,
    )
    assert wider == []
    context.close()


def test_a_table_that_does_not_fit_scrolls_and_shows_that_it_does(browser, wide_address):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto(wide_address)
    scrolling = page.evaluate(
        "[...document.querySelectorAll('.scroll, pre')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => [e.tabIndex, getComputedStyle(e).backgroundAttachment])"
    )
    assert len(scrolling) > 3
    assert all(attachment.startswith("local, local, scroll, scroll") for _, attachment in scrolling)
    assert all(index == 0 for index, _ in scrolling)  # so that the arrow keys can scroll it
    context.close()


def test_the_table_of_all_runs_fits_a_desk(browser, address):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1200, "height": 800})
    page = context.new_page()
    page.goto(address)
    box = page.locator("#runs .scroll")
    assert box.evaluate("e => e.scrollWidth") <= box.evaluate("e => e.clientWidth")
    context.close()


@pytest.mark.parametrize("width", [360, 1200])
def test_the_texts_of_a_row_do_not_overlap(browser, wide_address, width):
    """A browser's own font may be wider than the one that the chart was measured with."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(wide_address)
    boxes = page.evaluate(
        "[...document.querySelectorAll('#figure-accuracies svg text')].filter(e => e.getClientRects().length)"
        ".map(e => e.getBoundingClientRect()).map(b => [b.left, b.right, b.top, b.bottom])"
    )
    assert len(boxes) > 16
    overlaps = [
        (a, b)
        for a, b in itertools.combinations(boxes, 2)
        if a[0] < b[1] and b[0] < a[1] and a[2] + 2 < b[3] and b[2] + 2 < a[3]
    ]
    assert overlaps == []
    context.close()


def test_every_text_has_its_contrast(page):
    paper = _color(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    raised = _color(page.evaluate("getComputedStyle(document.querySelector('pre')).backgroundColor"))
    words = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, p, li, dt, dd, th, td, a, figcaption, summary, .glyph, svg text')]"
        ".filter(e => e.getClientRects().length)"
        ".map(e => { const s = getComputedStyle(e); return [e instanceof SVGElement ? s.fill : s.color, e.textContent.slice(0, 40)] })"
    )
    assert len(words) > 200
    poor = {word for color, word in words if min(contrast(_color(color), ground) for ground in (paper, raised)) < 4.5}
    assert poor == set()


def test_every_arm_stands_out(page):
    paper = _color(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    names = [f"--c{n}" for n in range(1, 9)] + ["--c-other", "--up", "--down"]
    values = page.evaluate(
        "names => names.map(n => getComputedStyle(document.documentElement).getPropertyValue(n))", names
    )
    poor = {name: value for name, value in zip(names, values, strict=True) if contrast(_hex(value), paper) < 3}
    assert poor == {}


def test_dots_have_the_color_of_their_arm(page):
    """A variable that the style sheet lacks would leave the marks black or away."""
    fills = page.evaluate(
        "[...document.querySelectorAll('#figure-accuracies svg path')].filter(e => e.getClientRects().length)"
        ".map(e => getComputedStyle(e).fill)"
    )
    first = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--c1')")
    assert sum(fill.startswith("rgb(") and _color(fill) == _hex(first) for fill in fills) == 3


def test_it_prints(browser, address):
    context = browser.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(address)
    page.emulate_media(media="print")
    ink = _color(page.evaluate("getComputedStyle(document.body).color"))
    assert contrast(ink, (255, 255, 255)) > 4.5  # dark on white, whatever the screen
    assert page.pdf(format="A4").startswith(b"%PDF")
    context.close()


def test_contrast_is_the_known_one():
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)  # WebAIM's #777 on white


def contrast(color, background) -> float:
    """WCAG 2.2's ratio of relative luminances."""
    low, high = sorted((_luminance(color), _luminance(background)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color) -> float:
    parts = [value / 255 for value in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _color(text) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _hex(text) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text.strip().removeprefix("#")))
