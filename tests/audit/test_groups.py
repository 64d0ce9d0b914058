"""Frames of one film in several parts are told by name, folder and capture time; ways of naming files are not."""

import io
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from striate.audit import ImageRef, audit
from striate.audit.audit import Auditor
from striate.audit.groups import divided_groups, key_by_path, rule_for, shared_groups
from striate.audit.read import capture_time
from striate.data import DataConfig
from striate.data.groups import group_numbers, path_rule
from tests.audit.planted import bases
from tests.cli.conftest import striate
from tests.data.films import films, write_folder, write_parquet

__all__ = ["striate"]


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


def test_shards_of_a_table_are_no_groups():
    """Each of eight files has an eighth of the images, and its name but for the last number is its own."""
    images = [
        ImageRef(
            row=n, part="train", name=f"train-{n % 8:05}-of-00008.parquet row {n // 8}", label="cat", width=9, height=9
        )
        for n in range(80)
    ]
    assert divided(images) == ()
    numbered = [replace(image, name=f"image {image.row}") for image in images]
    assert divided(numbered) == ()


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


def divided(images, group=None, taken=None):
    return divided_groups(images, taken or [""] * len(images), key_by_path(group) if group else lambda _: "")


def rule(images, parts=2):
    return rule_for(divided(images), images, parts)


def of_films(pattern, per_class=4, frames=5):
    """Images of films by name, `{label}`, `{film}` and `{frame}` filled in; the films of dogs are others than those of cats."""
    films = [("cat", n) for n in range(per_class)] + [("dog", per_class + n) for n in range(per_class)]
    return refs(*(pattern.format(label=label, film=film, frame=f) for label, film in films for f in range(frames)))


@pytest.mark.parametrize(
    ("pattern", "group"),
    [
        ("train/{label}/film{film}/{frame}.png", "folder"),
        ("train/{label}/film{film}/day/{frame}.png", "folder"),
        ("train/{label}/film{film}_{frame:04}.jpg", r"(.*\D)\d+\.\w+$"),
        ("train/{label}/clip{film:02}-{frame}.jpeg", r"(.*\D)\d+\.\w+$"),
        ("train/{label}/{film}-{frame}/x{film}x{frame}.jpg", r"([^/]*[^/\d])\d+\.\w+$"),
    ],
)
def test_the_line_that_keeps_groups_whole(pattern, group):
    images = of_films(pattern)
    assert rule(images) == (group, len(divided(images)))
    assert divided(images, group) == ()
    kept = group_numbers({"train": [path_rule(group)("/".join(image.name.split("/")[2:])) for image in images]})[
        "train"
    ]
    assert len(set(kept.tolist())) == 8


def test_no_line_where_a_class_would_be_in_too_few_groups():
    images = of_films("train/{label}/film{film}_{frame:04}.jpg", per_class=3)
    assert len(divided(images)) == 6
    assert rule(images, 3) == (r"(.*\D)\d+\.\w+$", 6)
    assert rule(images, 4) == ("", 0)


def test_no_line_where_folders_and_names_divide_each_other():
    images = refs(
        *OTHERS, *(f"train/cat/{where}/{name}_{n}.png" for where in "ab" for name in ("x", "y") for n in range(3))
    )
    assert {group.kind for group in divided(images)} == {"folder", "name"}
    assert rule(images) == ("", 0)


def test_bursts_that_no_name_tells_are_left():
    images = of_films("train/{label}/film{film}/{frame}.png")
    burst = [9 * frame for frame in range(4)]  # of several films
    taken = ["2026:05:01 10:00:00" if row in burst else "" for row in range(len(images))]
    found = divided(images, taken=taken)
    assert sorted({group.kind for group in found}) == ["capture time", "folder"]
    assert rule_for(found, images, 2) == ("folder", 8)
    only = divided(images, "folder", taken)
    assert [group.kind for group in only] == ["capture time"]
    assert rule_for(only, images, 2) == ("", 0)


def test_a_way_of_naming_is_not_divided():
    assert divided(of_films("train/{label}/{label}_{frame}.png")) == ()
    assert divided(of_films("train/{label}/IMG_{film}{frame}.png")) == ()


def test_parts_below_the_classes_are_no_groups():
    images = refs(*(f"a/{label}/train/{n}x.png" for label in ("cat", "dog") for n in range(9)))
    images = [replace(image, part="train") for image in images]
    assert divided(images) == ()


def test_an_audit_says_the_line_only_where_a_study_draws_parts(tmp_path):
    frames = films(4, 4)
    write_folder(tmp_path / "all", *frames)
    found = audit(str(tmp_path / "all"), near=False)
    assert (found.group, found.kept, len(found.divided)) == ("folder", 8, 8)
    assert found.group_cure == "'group: folder' under 'data:' in the study file keeps them whole"
    assert Auditor(DataConfig(source=str(tmp_path / "all"), group="folder")).audit(near=False).divided == ()
    for part in ("train", "val", "test"):
        write_folder(tmp_path / "parts" / part, *frames)
    found = audit(str(tmp_path / "parts"), near=False)
    assert (found.group, found.divided, len(found.shared)) == ("", (), 8)


@pytest.mark.parametrize("column", ["film", "film (", "*"])
def test_a_column_of_a_table_keeps_bursts_whole_and_is_no_expression(tmp_path, column):
    images, labels, numbers = films(6, 5)
    home = write_parquet(tmp_path / "films", images, labels, numbers)
    table = pq.read_table(home / "all.parquet")
    bursts = [_with_time(image, film, n % 5) for n, (image, film) in enumerate(zip(images, numbers, strict=True))]
    columns = {"image": bursts, "label": table["label"], column: table["film"]}
    pq.write_table(pa.table(columns), home / "all.parquet")
    plain = Auditor(str(home)).audit(near=False)
    assert len(plain.divided) == 12
    assert plain.group_cure.startswith("add a column that names the group of each image, and write its name")
    assert Auditor(DataConfig(source=str(home), group=column)).audit(near=False).divided == ()


def _with_time(image, minute, second):
    """The image as a PNG file taken at that time."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0132] = f"2026:05:01 10:{minute:02}:{second:02}"
    Image.fromarray(image).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def test_the_command_and_the_page_say_it(striate, tmp_path):
    write_folder(tmp_path / "films", *films(4, 4), "{label}/film{film:02}_{frame:04}.png")
    page = tmp_path / "page.html"
    _, out, _ = striate("audit", tmp_path / "films", "--no-near", "--report", page)
    assert (
        "8 groups of images, such as frames of a film, in the train part, which a study divides image by image; "
        r"'group: (.*\D)\d+\.\w+$' under 'data:' in the study file keeps them whole:" in out
    )
    assert "  name 'film00': 4 in train\n" in out
    assert "under &#39;data:&#39; in the study file keeps them whole." in page.read_text()
    _, out, _ = striate("audit", tmp_path / "films", "--no-near", "--json", "--report", page)
    assert json.loads(out)["group"] == r"(.*\D)\d+\.\w+$"
