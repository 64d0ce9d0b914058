"""Everything that is found at a source is used, refused, or named in a note."""

import importlib.util
import re

import pillow_heif
import pytest
from PIL import Image

from striate.core.errors import DataError
from striate.data import DataConfig, load
from striate.data.file_kinds import image_format, readable_formats
from tests.data.odd_folders import ODD, fill, noise


def load_odd(name, folder):
    case = ODD[name]
    path = case.make(folder) or folder
    return load(DataConfig(source=str(path), **dict(case.config)))


@pytest.mark.parametrize("name", [name for name, case in ODD.items() if case.sizes])
def test_it_is_read_with_its_note(name, tmp_path):
    case = ODD[name]
    dataset = load_odd(name, tmp_path / "odd")
    validation = 0 if dataset.validation is None else len(dataset.validation)
    assert (len(dataset.train), validation, dataset.test_size) == case.sizes
    assert dataset.classes == case.classes
    notes = [note for note in dataset.notes if "has no test part" not in note]
    assert any(re.search(case.says, note) for note in dataset.notes) if case.says else not notes
    assert len(notes) <= 2, "one thing is odd about each"


@pytest.mark.parametrize("name", [name for name, case in ODD.items() if not case.sizes])
def test_it_is_refused_with_its_reason(name, tmp_path):
    with pytest.raises(DataError, match=ODD[name].says):
        load_odd(name, tmp_path / "odd")


def test_there_are_enough_of_them():
    assert len(ODD) >= 30


@pytest.fixture
def no_heif(monkeypatch):
    """An installation without the extra `heif`."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *args: None if name == "pillow_heif" else find(name, *args)
    )
    readable_formats.cache_clear()
    yield
    monkeypatch.undo()
    readable_formats.cache_clear()


@pytest.fixture
def photographs(tmp_path):
    """Eight PNG files, two photographs of a phone, and one of them under a wrong name."""
    fill(tmp_path / "odd")
    for name in ("IMG_1.HEIC", "IMG_2.heic"):
        pillow_heif.from_pillow(Image.fromarray(noise(len(name)))).save(tmp_path / "odd" / "ants" / name)
    return tmp_path / "odd"


def test_photographs_of_a_phone_are_read(photographs):
    dataset = load(DataConfig(source=str(photographs)))
    assert len(dataset.train) + dataset.test_size == 10


def test_photographs_of_a_phone_are_named_where_they_cannot_be_read(photographs, no_heif):
    """They once vanished."""
    dataset = load(DataConfig(source=str(photographs)))
    assert len(dataset.train) + dataset.test_size == 8
    assert dataset.notes[0] == "1 .HEIC and 1 .heic files not read: pip install 'striate[heif]'"
    (photographs / "ants" / "IMG_1.HEIC").rename(photographs / "ants" / "IMG_1.jpg")
    with pytest.raises(
        DataError, match=r"ants/IMG_1.jpg: cannot be read as an image \(it is HEIF: pip install 'striate"
    ):
        load(DataConfig(source=str(photographs)))
    for path in photographs.glob("ants/[0-9]*"):
        path.unlink()
    (photographs / "ants" / "IMG_1.jpg").unlink()
    with pytest.raises(DataError, match=r"class folder 'ants' has no images \(1 .heic file not read: pip install"):
        load(DataConfig(source=str(photographs)))


@pytest.mark.parametrize(
    "head", [b"", b"BM is no bitmap, though it begins so", b"P1 is text", b"\0\0\0\x14ftypmp42", b"RIFF1234WAVE"]
)
def test_what_only_begins_like_an_image_is_none(head):
    assert image_format(head) == ""


def test_levels_of_twelve_bits_stay_apart(tmp_path):
    """Levels 40 and 200 of 4,000 once both became 0."""
    dataset = load_odd("twelve bits in sixteen", tmp_path / "odd")
    assert {tuple(image[0, :3, 0].tolist()) for image in dataset.train.images} == {(40 // 16, 200 // 16, 4000 // 16)}
    assert dataset.bits == 12


def test_classes_are_matched_by_name(tmp_path):
    dataset = load_odd("classes in another order", tmp_path / "odd")
    opened = dataset.open_test("to see the labels")
    names = {image.tobytes(): dataset.classes[label] for image, label in zip(opened.images, opened.labels, strict=True)}
    assert [names[noise(100 + i).tobytes()] for i in range(4)] == ["bee", "ant", "bee", "ant"]
