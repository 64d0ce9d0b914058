"""An audit of a folder with a planted fault of each kind."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from striate.audit import audit
from striate.core.errors import DataError
from tests.audit.planted import bases, transformed


@pytest.fixture
def folder(tmp_path):
    """Two classes in two parts, six random pictures each, without a fault."""
    pictures = iter(bases(24))
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            place = tmp_path / part / name
            place.mkdir(parents=True)
            for number in range(6):
                Image.fromarray(next(pictures)).save(place / f"{number}.png")
    return tmp_path


def kinds(found):
    return {(flaw.kind, flaw.name) for flaw in found.flaws}


def test_a_folder_without_faults_has_no_findings(folder):
    found = audit(str(folder))
    assert (found.flaws, found.copies, found.near, found.two_labels) == ((), (), (), ())
    assert found.counts == {"train": (6, 6), "test": (6, 6)}
    assert found.images == 24


def test_flaws_are_told_by_kind(folder):
    train = folder / "train" / "cat"
    (train / "0.png").write_bytes((train / "0.png").read_bytes()[:200])
    Image.fromarray(bases(1, 9)[0]).resize((9, 12)).save(train / "1.png")
    Image.new("RGB", (96, 96), (200, 10, 10)).save(train / "2.png")
    Image.fromarray(bases(1, 8)[0] // 5).save(train / "3.png")
    Image.fromarray(bases(1, 7)[0]).resize((96, 30)).save(train / "4.png")
    found = audit(str(folder))
    assert {(kind, name) for kind, name in kinds(found) if kind != "odd size"} == {
        ("broken", "train/cat/0.png"),
        ("tiny", "train/cat/1.png"),
        ("blank", "train/cat/2.png"),
        ("dark", "train/cat/3.png"),
    }
    assert {name for kind, name in kinds(found) if kind == "odd size"} == {"train/cat/1.png", "train/cat/4.png"}
    assert found.counts["train"] == (5, 6)


def test_copies_are_found_by_their_pixels_in_other_formats_and_parts(folder):
    picture = Image.open(folder / "train" / "cat" / "0.png")
    picture.save(folder / "test" / "dog" / "copy.bmp")
    found = audit(str(folder))
    (copies,) = found.copies
    assert [image.name for image in copies.images] == ["train/cat/0.png", "test/dog/copy.bmp"]
    assert (copies.parts, copies.labels) == (("train", "test"), ("cat", "dog"))
    assert found.two_labels == (copies,)
    assert found.near == ()


def test_a_near_duplicate_between_parts_names_both_images(folder):
    pixels = np.asarray(Image.open(folder / "train" / "dog" / "3.png"))
    Image.fromarray(transformed(pixels, "mirrored")).save(folder / "test" / "dog" / "turned.png")
    (pair,) = audit(str(folder)).near
    assert (pair.first.name, pair.second.name) == ("train/dog/3.png", "test/dog/turned.png")
    assert pair.mirrored
    assert pair.parts == ("train", "test")


def test_near_duplicates_are_looked_for_only_on_request(folder):
    assert audit(str(folder), near=False).near is None


def test_sources_without_files_of_images_are_audited_too(tmp_path):
    images = np.stack([picture[:28, :28, 0] for picture in bases(20)])
    images[7] = images[3]
    np.savez(tmp_path / "arrays.npz", images=images, labels=np.arange(20) % 2)
    found = audit(str(tmp_path / "arrays.npz"))
    assert found.counts == {"train": (10, 10)}
    assert [[image.name for image in copies.images] for copies in found.copies] == [["image 3", "image 7"]]


def test_blank_images_of_turned_shape_are_no_copies(folder):
    for name, size in (("wide", (60, 40)), ("high", (40, 60))):
        Image.new("RGB", size).save(folder / "train" / "cat" / f"{name}.png")
    assert audit(str(folder)).copies == ()


def test_dim_images_of_16_bits_are_not_dark(folder):
    """Ten of sixteen bits are used: their range is found, as in training."""
    pixels = bases(1, 5)[0][..., 0].astype(np.uint16) * 4
    Image.fromarray(pixels).save(folder / "train" / "cat" / "deep.png")
    assert audit(str(folder)).flaws == ()


def test_test_images_with_a_twin_in_training_are_counted_once(folder):
    pixels = np.asarray(Image.open(folder / "test" / "dog" / "3.png"))
    for name in ("mirrored", "brighter"):
        Image.fromarray(transformed(pixels, name)).save(folder / "train" / "dog" / f"{name}.png")
    assert [image.name for image in audit(str(folder)).test_twins] == ["test/dog/3.png"]


def test_a_source_without_a_readable_image_is_refused(folder):
    for path in folder.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"no image could be read; the first is train/cat/0.png"):
        audit(str(folder))


def test_one_class_and_an_empty_folder_are_refused(folder, tmp_path):
    for part in ("train", "test"):
        shutil.rmtree(folder / part / "dog")
    with pytest.raises(DataError, match="at least 2 classes, got only 'cat'"):
        audit(str(folder))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no images in class folders"):
        audit(str(empty))


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_what_was_found(folder, monkeypatch, capsys, as_json):
    from striate.cli.audit import command

    picture = Image.open(folder / "train" / "cat" / "0.png")
    picture.save(folder / "test" / "dog" / "copy.bmp")
    command(str(folder), True, folder / "page.html", folder, as_json)
    assert "copy.bmp" in (folder / "page.html").read_text()
    out = capsys.readouterr().out
    if as_json:
        data = json.loads(out)
        assert data["copies"][0]["parts"] == ["train", "test"]
        assert data["counts"]["test"] == [6, 7]
    else:
        assert "copies, pixel by pixel: 1 between train and test" in out
        assert "train train/cat/0.png (cat) = test test/dog/copy.bmp (dog)" in out


def test_a_long_comparison_is_announced(folder, monkeypatch, capsys):
    from striate.cli import audit as command

    command.command(str(folder), True, folder / "page.html", folder, False)
    assert "comparing" not in capsys.readouterr().err
    monkeypatch.setattr(command, "PAIR_SECONDS", 10.0)
    command.command(str(folder), True, folder / "page.html", folder, False)
    assert "comparing 24 images with each other: about" in capsys.readouterr().err
    command.command(str(folder), False, folder / "page.html", folder, False)
    assert "comparing" not in capsys.readouterr().err
