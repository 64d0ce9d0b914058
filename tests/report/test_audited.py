"""The page of an audit: every finding is on it, with its pictures."""

import re

import numpy as np
import pytest
from PIL import Image

from striate.audit.audit import Auditor
from striate.core.errors import ReportError
from striate.report.audited import MOST_GROUPS, build, write
from tests.audit.planted import bases, transformed


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """An audit of a folder with a fault of each kind."""
    folder, pictures = tmp_path_factory.mktemp("faulty") / "<photos>", iter(bases(20))
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(5):
                Image.fromarray(next(pictures)).save(place / f"{number}.png")
    pixels = np.asarray(Image.open(folder / "train" / "cat" / "0.png"))
    Image.fromarray(pixels).save(folder / "test" / "dog" / "copy.png")
    Image.fromarray(transformed(pixels, "mirrored")).save(folder / "train" / "cat" / "turned.png")
    Image.fromarray(pixels // 5).save(folder / "train" / "cat" / "night.png")
    (folder / "train" / "cat" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    auditor = Auditor(str(folder))
    return auditor.audit(), auditor.pictures


def test_every_finding_is_on_the_page_with_its_pictures(faulty):
    page = build(*faulty).replace("\N{NO-BREAK SPACE}", " ")
    for text in (
        "copy.png",
        "turned.png",
        "night.png",
        "torn.png",
        "1 image cannot be read",
        "1 image dark",
        "mirrored",
    ):
        assert text in page
    assert "1 of 11 (9.1 %) have a copy or near duplicate there" in page
    assert "&lt;photos&gt;" in page
    assert "<photos>" not in page
    for section in ("between", "within", "labels"):
        body = page[page.index(f'<section id="{section}"') :]
        images = re.findall(r"<img [^>]*>", body[: body.index("</section>")])
        assert len(images) >= 2, section
        assert all("data:image/" in image and "alt=" in image for image in images)


def test_a_dataset_without_faults_has_a_page_that_says_so(tmp_path):
    np.savez(tmp_path / "plain.npz", images=np.stack(bases(8)), labels=np.arange(8) % 2)
    auditor = Auditor(str(tmp_path / "plain.npz"))
    page = build(auditor.audit(near=False), auditor.pictures)
    assert "No two parts share a picture. Near duplicates were not looked for." in page
    assert "No image is broken" in page


def test_a_long_list_is_cut_and_says_so(tmp_path):
    one = bases(1)[0]
    images = np.stack([np.roll(one, shift, 1) for shift in np.repeat(np.arange(60), 2)])
    np.savez(tmp_path / "copies.npz", images=images, labels=np.arange(120) % 2)
    auditor = Auditor(str(tmp_path / "copies.npz"))
    page = build(auditor.audit(near=False), auditor.pictures)
    assert f"The first {MOST_GROUPS} of 60" in page


def test_a_page_replaces_no_other_file(faulty, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    with pytest.raises(ReportError, match="no page of Striate"):
        write(*faulty, mine)
    assert mine.read_text() == "mine"
