"""What the manual says of augmentation is what is done."""

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

from striate.data.augment import boxes, randaugment

DOCS = Path(__file__).parents[2] / "docs"

spec = importlib.util.spec_from_file_location("augment_picture", DOCS / "augment_picture.py")
picture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(picture)


def stale_share(shown: np.ndarray) -> float:
    """The share of pixels in which the manual's picture is not what the program does today, labels left out."""
    expected = picture.draw_sheet()
    assert shown.shape == expected.shape
    drawn = np.ones(shown.shape[1], bool)
    for block in range(picture.BLOCKS):
        start = picture.GAP + block * (picture.LABEL + picture.COLUMNS * picture.CELL)
        drawn[start : start + picture.LABEL] = False
    return float((shown != expected)[:, drawn].any(2).mean())


def test_the_picture_of_the_manual_is_fresh():
    shown = np.asarray(Image.open(picture.PATH))
    assert stale_share(shown) < 1e-3, "run: python docs/augment_picture.py"  # a cosine's last bit may differ elsewhere
    assert stale_share(np.roll(shown, 1, axis=1)) > 0.1


def test_the_manual_has_every_operation_and_range():
    text = (DOCS / "study-file.md").read_text()
    assert [name for name in randaugment.OPERATIONS if f"`{name}`" not in text] == []
    said = (
        f"| {randaugment.DEGREES:g} degrees |",
        f"| {randaugment.SHEAR:g} pixels aside",
        f"| {randaugment.MOVE:.0%} of the side".replace("%", " %"),
        f"a factor of {1 - randaugment.FACTOR:.1f} or {1 + randaugment.FACTOR:g} |",
        f"| {8 - randaugment.BITS} of the 8 bits are left |",
        f"| levels from {256 - randaugment.SOLARIZE} on are inverted |",
        f"{boxes.AREA[0] * 100:g} to {boxes.AREA[1] * 100:g} % of the area",
        f"between {boxes.ASPECT[0]:g} and {boxes.ASPECT[1]:.1f}",
    )
    assert [words for words in said if words not in text] == []
