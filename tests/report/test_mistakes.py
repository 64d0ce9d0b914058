"""The hardest images are those with the largest loss, with their own pixels, and only where they are the images of the runs."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from striate.core.errors import DataError
from striate.data import DataConfig, load, no_download
from striate.report.answers import StudyAnswers
from striate.report.mistakes import MOST_OF_PAIR, mistakes
from striate.report.pages import build
from striate.runs.predictions import answers_of
from striate.studies.results import Results
from tests.report import folders
from tests.report.reading import Page


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder of noise in three classes, and the dataset in it."""
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    noise = np.random.default_rng(0)
    for part, n in (("train", 4), ("test", 40)):
        for name in ("cats", "dogs", "fish"):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for i in range(n):
                pixels = noise.integers(0, 256, (6, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / part / name / f"{i}.png")
    return load(DataConfig(source=str(tmp_path / "photos")))


def study(tmp_path, images, *, digest=None):
    labels = np.array(images.open_test("a test").labels)
    folder = folders.write_study(tmp_path / "s", data=str(tmp_path / "photos"))
    data = folders.DATA | {"classes": list(images.classes), "test": len(labels), "digest": digest or images.digest}
    for arm, shares in {"plain": (0.5, 0.55), "normalized": (0.9, 0.92)}.items():
        for seed, share in enumerate(shares):
            place = folders.write_run(folder, arm, seed, test=share, data=data, classes=3, test_images=len(labels))
            folders.write_answers(place, share, labels=labels, classes=3)
    return Results.read(folders.write_study(folder, data=str(tmp_path / "photos"), seeds=2))


def pixels_of(tile):
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.*)", tile.picture).groups()
    assert kind == "png"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_the_hardest_images_with_their_pixels(tmp_path, images):
    results = study(tmp_path, images)
    hardest, only = mistakes(StudyAnswers(results)).strips
    runs = [answers_of(row.run) for row in results.of("normalized")]
    loss = np.mean([run.loss for run in runs], axis=0)
    wrong = np.sum([~run.right for run in runs], axis=0)
    order = [i for i in np.argsort(-loss) if wrong[i]]
    assert hardest.tiles[0].image == order[0]
    test = images.open_test("a test")
    for tile in (*hardest.tiles, *only.tiles):
        np.testing.assert_array_equal(pixels_of(tile), test.images[tile.image])
        assert tile.label == images.classes[test.labels[tile.image]]
    kinds = [(tile.label, tile.answer) for tile in hardest.tiles]
    assert max(map(kinds.count, kinds)) <= MOST_OF_PAIR
    assert only.title == "Right in normalized, wrong in plain"
    baseline = [answers_of(row.run) for row in results.of("plain")]
    assert all(not run.right[tile.image] for tile in only.tiles for run in baseline)


def test_the_page_has_each_image_with_its_text(tmp_path, images):
    source = build(study(tmp_path, images))
    pictures = [attributes for tag, attributes in Page(source).elements if tag == "img"]
    assert len(pictures) >= 6
    assert all(re.fullmatch(r"Test image \d+: true \w+, answer \w+", picture["alt"]) for picture in pictures)
    assert str(tmp_path) not in source


def test_other_images_than_those_of_the_runs_are_not_shown(tmp_path, images):
    found = mistakes(StudyAnswers(study(tmp_path, images, digest="0" * 64)))
    assert found.missing == "what the study's source holds now are not the images of the runs (another digest)."
    assert {tile.picture for strip in found.strips for tile in strip.tiles} == {""}


def test_images_that_are_gone_leave_the_texts(tmp_path, images):
    results = study(tmp_path, images)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    page = Page(build(results))
    assert "The images themselves are not shown: " in page.text
    assert "answered" in page.text
    assert str(tmp_path) not in page.source


def test_nothing_is_downloaded_for_a_page(monkeypatch, tmp_path):
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path))
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path))
    with no_download(), pytest.raises(DataError, match=r"^cifar10: not found on this machine; 'striate check'"):
        load(DataConfig(source="cifar10"))


def test_a_label_that_all_runs_contradict_surely_is_suspected(tmp_path, images):
    results = study(tmp_path, images)
    for row in results.of("normalized"):
        path = row.run.folder / "predictions.npz"
        with np.load(path) as arrays:
            logits, labels = np.array(arrays["test_logits"]), arrays["test_labels"]
        logits[7] = np.eye(3)[(labels[7] + 1) % 3] * 20
        np.savez(path, test_logits=logits, test_labels=labels)
    tile = mistakes(StudyAnswers(results)).strips[0].tiles[0]
    assert tile.image == 7
    assert tile.numbers.endswith("wrong in 2 of 2; all runs are sure, so the label may be wrong")
