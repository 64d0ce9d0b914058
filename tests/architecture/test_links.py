"""Every page is in the navigation, and links lead to where they say."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]

spec = importlib.util.spec_from_file_location("make_site", DOCS / "make_site.py")
make_site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_site)


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml without importing what it names."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def navigation() -> list[str]:
    """The pages of the site in their order."""

    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        parts = entry.values() if isinstance(entry, dict) else entry
        return [page for part in parts for page in pages(part)]

    return pages(yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"])


def missing_pages(names: list[str]) -> set[str]:
    """Pages of docs that the navigation lacks, or has more than once."""
    inside = {path.name for path in DOCS.glob("*.md")}
    return inside - set(names) | {name for name in names if names.count(name) > 1}


def anchors(text: str) -> set[str]:
    """What a link into a page may name: its headings as GitHub calls them, and its own anchors."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.+)$", prose, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        found[slug] = found.get(slug, 0) + 1
    return {*found, *re.findall(r'<a id="([\w-]+)">', prose)}


def broken(pages: dict[Path, str]) -> list[str]:
    """Links of these pages to files or anchors that are not there."""
    wrong = []
    for path, text in pages.items():
        prose = re.sub(r"^```.*?^```|`[^`\n]+`(?!\])", "", text, flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if "://" in target:
                continue
            address, _, anchor = target.partition("#")
            other = (path.parent / address).resolve() if address else path
            if not other.exists():
                wrong.append(f"{path.name}: {target}")
            elif anchor and anchor not in anchors(pages.get(other) or other.read_text(encoding="utf-8")):
                wrong.append(f"{path.name}: {target} (no such heading)")
    return wrong


def texts() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in PAGES}


def test_every_page_is_in_the_navigation_once():
    assert missing_pages(navigation()) == set(), "add the page to nav in mkdocs.yml, and to docs/README.md"


def test_the_navigation_has_only_pages_that_there_are():
    assert set(navigation()) <= set(make_site.sources())


def test_the_contents_have_every_page():
    text = (DOCS / "README.md").read_text(encoding="utf-8")
    inside = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert {name for name in inside if f"]({name})" not in text} == set(), "add the page to docs/README.md"


def test_a_page_that_the_navigation_lacks_would_be_found():
    names = [name for name in navigation() if name != "verdicts.md"]
    assert missing_pages([*names, "start.md"]) == {"verdicts.md", "start.md"}


def test_links_lead_to_pages_and_headings_that_there_are():
    assert broken(texts()) == []


@pytest.mark.parametrize("link", ["[x](nothing.md)", "[x](verdicts.md#no-such-heading)", "[x](#no-such-heading)"])
def test_a_broken_link_would_be_found(link):
    pages = texts()
    pages[DOCS / "start.md"] += link
    assert len(broken(pages)) == 1


def test_the_site_has_links_within_itself_only():
    known = make_site.sources()
    text = "[a](runs.md#x) [code](../striate/nets/zoo.py) [c](../CONTRIBUTING.md) `[kept](../striate)` ![p](images/report.png)"
    expected = "[a](runs.md#x) code [c](contributing.md) `[kept](../striate)` ![p](images/report.png)"
    assert make_site.relinked(text, "start.md", known) == expected
    assert make_site.relinked("[a](../docs/verdicts.md)", "benchmarks/index.md", known) == "[a](../verdicts.md)"


def test_every_link_of_the_site_leads_to_a_file_of_it():
    known, wrong = make_site.sources(), []
    for name, path in known.items():
        if path.suffix == ".md":
            prose = make_site._CODE.sub("", make_site.relinked(path.read_text(encoding="utf-8"), name, known))
            for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", prose):
                found = (Path("/site") / name).parent.joinpath(target).resolve().relative_to("/site").as_posix()
                wrong += [f"{name}: {target}"] if "://" not in target and found not in known else []
    assert wrong == []
