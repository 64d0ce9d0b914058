"""Frames of one film in several parts are told by name, folder and capture time; ways of naming files are not."""

from PIL import Image

from striate.audit import ImageRef, audit
from striate.audit.groups import shared_groups
from striate.audit.read import capture_time
from tests.audit.planted import bases


def refs(*names, labels=None):
    """Images of these names, `part/label/...`."""
    return [
        ImageRef(row=row, part=name.split("/")[0], name=name, label=name.split("/")[1], width=9, height=9)
        for row, name in enumerate(names)
    ]


def found(images, taken=None):
    return {(one.kind, one.name): dict(one.counts) for one in shared_groups(images, taken or [""] * len(images))}


OTHERS = [f"train/cat/{n}x.png" for n in range(30)] + [f"train/dog/{n}y.png" for n in range(30)]


def test_frames_are_grouped_by_their_name_before_the_last_number():
    images = refs(
        *OTHERS, *(f"train/cat/clip7_{n:03}.png" for n in range(4)), "test/cat/clip7_004.png", "test/dog/alone_1.png"
    )
    assert found(images) == {("name", "clip7"): {"train": 4, "test": 1}}


def test_folders_below_the_class_are_groups():
    images = refs(*OTHERS, "train/cat/walk/a.png", "train/cat/walk/b.png", "test/cat/walk/c.png", "test/dog/run/d.png")
    assert found(images) == {("folder", "walk"): {"train": 2, "test": 1}}


def test_a_way_of_naming_is_no_group():
    cats = [f"train/cat/cat.{n}.png" for n in range(40)] + [f"test/cat/cat.{n}.png" for n in range(40, 50)]
    phone = [f"train/dog/IMG_{n}.png" for n in range(40)] + [f"test/dog/IMG_{n}.png" for n in range(40, 50)]
    assert found(refs(*cats, *phone)) == {}


def test_bursts_by_capture_time():
    names = ("train/cat/a.png", "test/cat/b.png", "test/cat/c.png", "test/cat/d.png", "train/cat/e.png")
    taken = (
        "2026:05:01 10:00:00",
        "2026:05:01 10:00:02",
        "2026:05:01 10:00:03",
        "2026:05:01 10:00:09",
        "0000:00:00 00:00:00",
    )
    assert found(refs(*names), taken) == {("capture time", "2026-05-01 10:00:00"): {"train": 1, "test": 2}}


def test_rows_of_a_table_have_no_names():
    images = [
        ImageRef(row=n, part=part, name=f"{part}.parquet row {n}", label="cat", width=9, height=9)
        for n, part in enumerate(("train", "train", "test", "test"))
    ]
    assert found(images) == {}


def test_the_capture_time_is_read_from_exif(tmp_path):
    picture = Image.fromarray(bases(1)[0])
    exif = picture.getexif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 10:00:00"
    picture.save(tmp_path / "photo.jpg", exif=exif)
    picture.save(tmp_path / "plain.png")
    assert capture_time(tmp_path / "photo.jpg") == "2026:05:01 10:00:00"
    assert capture_time((tmp_path / "photo.jpg").read_bytes()) == "2026:05:01 10:00:00"
    assert capture_time(tmp_path / "plain.png") == ""
    assert capture_time(b"no image") == ""


def test_an_audit_tells_of_frames_in_several_parts(tmp_path):
    pictures = iter(bases(30))
    for part, numbers in (("train", range(3)), ("test", range(3, 5))):
        for label in ("cat", "dog"):
            (tmp_path / part / label).mkdir(parents=True)
            for n in range(5):
                Image.fromarray(next(pictures)).save(tmp_path / part / label / f"{n}a.png")
        for n in numbers:
            Image.fromarray(next(pictures)).save(tmp_path / part / "cat" / f"film_{n}.png")
    (group,) = audit(str(tmp_path), near=False).shared
    assert (group.kind, group.name, dict(group.counts)) == ("name", "film", {"train": 3, "test": 2})
