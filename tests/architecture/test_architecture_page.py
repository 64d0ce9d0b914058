"""docs/architecture.md has the rooms that there are, in the order that the import contract holds."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def rooms_of_the_page(page: str) -> list[set[str]]:
    """The rooms by row, the highest first."""
    rows: dict[int, set[str]] = {}
    for row, room in re.findall(r"^\| (\d) \| `(\w+)` \|", page, re.MULTILINE):
        rows.setdefault(int(row), set()).add(room)
    return [rows[row] for row in sorted(rows, reverse=True)]


def rooms_of_the_contract() -> list[set[str]]:
    (layers,) = [contract["layers"] for contract in CONTRACTS if contract["type"] == "layers"]
    return [set(layer.split(" | ")) for layer in layers]


def paths_of_the_page(page: str) -> set[str]:
    """What the page calls a file or a folder of ours, relative to the package or to the repository."""
    words = re.findall(r"`([\w./]+)`", page)
    return {word for word in words if "/" in word}


def missing(page: str) -> list[str]:
    return [
        path for path in paths_of_the_page(page) if not ((ROOT / path).exists() or (ROOT / "striate" / path).exists())
    ]


def test_the_page_and_the_contract_have_the_same_rooms_in_the_same_order():
    assert rooms_of_the_page(PAGE) == rooms_of_the_contract()


def test_the_page_has_every_folder_of_the_package():
    folders = {path.parent.name for path in (ROOT / "striate").glob("*/__init__.py")}
    assert set.union(*rooms_of_the_page(PAGE)) == folders


def test_every_file_that_the_page_names_is_there():
    assert missing(PAGE) == []


@pytest.mark.parametrize(
    ("old", "new"), [("| 7 | `report` |", "| 6 | `report` |"), ("| 4 | `tracking` |", "| 4 | `trackers` |")]
)
def test_a_room_in_the_wrong_place_would_be_found(old, new):
    assert old in PAGE
    assert rooms_of_the_page(PAGE.replace(old, new)) != rooms_of_the_contract()


def test_a_file_that_is_gone_would_be_found():
    assert missing(PAGE + "`engines/gone.py`") == ["engines/gone.py"]
