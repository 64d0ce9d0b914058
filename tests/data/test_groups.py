"""`data.group`: what belongs together stays in one part, in every format alike, and what cannot be done is refused by its words."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.core.errors import DataError
from striate.data import DataConfig, Dataset, Part, is_shared_note, load, split, splits
from striate.data import cache as cache_module
from striate.data.assemble import assemble, store_in_memory
from striate.data.canonical_order import HashedPart, dataset_digest
from striate.data.contents import ArrayPart, Contents
from striate.data.groups import group_numbers, path_rule, renumber
from striate.data.loading import find_source
from striate.data.sources import cifar10
from striate.studies.execute.on_ray import images as on_ray
from tests.data.films import CLASSES, films, write_folder, write_parquet


def load_at(path, **config):
    return load(DataConfig(source=str(path), **config))


def nearest_neighbor(train: Part, other: Part) -> float:
    """The share of `other` whose nearest training image has their label."""
    rows, columns = (part.images.reshape(len(part), -1).astype(float) for part in (other, train))
    squares = (columns**2).sum(1) - 2 * rows @ columns.T
    return float((train.labels[squares.argmin(1)] == other.labels).mean())


def films_of(part: Part, images, numbers):
    """The film of each image of a part, by its pixels."""
    known = {image.tobytes(): film for image, film in zip(images, numbers, strict=True)}
    return {int(known[np.ascontiguousarray(image).tobytes()]) for image in part.images}


def test_frames_of_one_film_in_two_parts_are_memory_and_with_a_group_none_are(tmp_path):
    """Of 60 films, nearest neighbors recognize every frame whose film they know, and other films hardly."""
    images, labels, numbers = films(30)
    folder = write_folder(tmp_path / "films", images, labels, numbers)
    accuracy = {}
    for group in (None, "folder"):
        dataset = load_at(folder, group=group)
        parts = [split(dataset, 0.2, seed).part for seed in range(4)]
        accuracy[group] = np.mean([nearest_neighbor(part("train"), part("validation")) for part in parts])
        accuracy[group, "test"] = nearest_neighbor(dataset.train, dataset.open_test("to compare"))
        for part in parts:
            sides = [films_of(part(which), images, numbers) for which in ("train", "validation")]
            tests = films_of(dataset.open_test("to compare"), images, numbers)
            is_whole = not sides[0] & sides[1] and not tests & (sides[0] | sides[1])
            assert is_whole == (group == "folder")
    assert accuracy[None] == accuracy[None, "test"] == 1.0
    assert accuracy["folder"] < 0.85
    assert accuracy["folder", "test"] < 0.85


def is_same(dataset, other, seeds=3):
    tests = dataset.open_test("to compare"), other.open_test("to compare")
    arrays = [(dataset.train, other.train), tests]
    equal = all(np.array_equal(p.images, q.images) and np.array_equal(p.labels, q.labels) for p, q in arrays)
    splits = all(
        np.array_equal(split(dataset, 0.2, seed).validation, split(other, 0.2, seed).validation)
        for seed in range(seeds)
    )
    return equal and splits and dataset.digest == other.digest and np.array_equal(dataset.groups, other.groups)


def test_folder_parquet_and_arrays_with_one_partition_give_one_split_and_one_digest(tmp_path, npz):
    frames = films(6, 5)
    images, labels, numbers = frames
    backwards = [array[::-1] for array in frames]
    by_folder = load_at(write_folder(tmp_path / "a", *frames), group="folder")
    others = (
        load_at(write_folder(tmp_path / "b", *frames, "{label}/{film}_{frame:04}.png"), group=r"^(\d+)_"),
        load_at(write_folder(tmp_path / "c", *frames, "{label}/{film:03}/day/{frame}.png"), group=r"^\d+"),
        load_at(write_parquet(tmp_path / "d", *frames), group="film"),
        load_at(write_parquet(tmp_path / "e", *backwards, names=[f"z{99 - n}" for n in range(12)]), group="film"),
        load_at(npz(images=images, labels=labels, class_names=np.array(CLASSES), film=numbers), group="film"),
        load_at(npz("b", images=images, labels=labels, class_names=np.array(CLASSES), film=[b"%d" % n for n in numbers]), group="film"),
        load_at(npz("s", images=images, labels=labels, class_names=np.array(CLASSES), take_2=[f"{n}" for n in numbers]), group="take_2"),
    )  # fmt: skip
    assert all(is_same(by_folder, other) for other in others)
    assert len(np.unique(by_folder.groups)) == by_folder.groups.max() + 1
    plain = load_at(tmp_path / "a")
    assert plain.groups is None
    assert plain.digest != by_folder.digest
    renamed = load_at(write_folder(tmp_path / "f", images, labels, numbers // 4), group="folder")
    assert renamed.digest != by_folder.digest


def test_parts_of_the_source_stay_and_shared_groups_are_told(tmp_path, npz):
    images, labels, numbers = films(6, 5)
    is_test = np.arange(len(images)) % 5 == 0  # a frame of each film
    is_test[:20] = False  # but of four
    parts = {"train": ~is_test, "test": is_test}
    for part, rows in parts.items():
        write_parquet(tmp_path / "parquet", images[rows], labels[rows], numbers[rows], part)
    arrays = {
        f"{key}_{part}": array[rows]
        for part, rows in parts.items()
        for key, array in (("x", images), ("y", labels), ("f", numbers))
    }
    found = load_at(tmp_path / "parquet", group="film")
    other = load_at(npz(**arrays, class_names=np.array(CLASSES)), group="f")
    assert is_same(found, other)
    assert (len(found.train), found.test_size) == (52, 8)
    (note,) = [note for note in found.notes if is_shared_note(note)]
    assert (
        note == "8 groups are divided by the source itself between its train and test parts: 32 train and 8 test images"
    )
    assert note in other.notes
    assert "12 groups of images by data.group: film" in found.notes
    assert not any(is_shared_note(note) for note in load_at(tmp_path / "parquet").notes)


def test_groups_count_where_the_source_has_a_validation_part(tmp_path):
    frames = films(4, 3)
    for part in ("train", "val", "test"):
        write_folder(tmp_path / part, *frames, "{label}/{film}/{frame}.png")
    dataset = load_at(tmp_path, group="folder")
    assert split(dataset, 0.1, 0).size("validation") == 24
    notes = [note for note in dataset.notes if "divided by the source" in note]
    assert [note[:55] for note in notes] == ["8 groups are divided by the source itself between its t"] * 2 + [
        "8 groups are divided by the source itself between its v"
    ]


def test_one_group_is_told_as_one_where_the_source_has_all_parts(tmp_path):
    images, labels, numbers = films(1, 2)
    for part in ("train", "val", "test"):
        write_folder(tmp_path / part, images, labels, 0 * numbers, "{label}/{film}/{frame}.png")
    assert "1 group of images by data.group: folder" in load_at(tmp_path, group="folder").notes


def test_an_image_without_a_match_is_a_group_of_its_own(tmp_path):
    images, labels, numbers = films(6, 5)
    folder = write_folder(tmp_path / "films", images[:55], labels[:55], numbers[:55])
    write_folder(folder, images[55:], labels[55:], numbers[55:], "{label}/{frame}.png")
    dataset = load_at(folder, group="folder")
    assert "16 groups of images by data.group: folder; 5 images are in none and count as one each" in dataset.notes
    assert load_at(folder, group=r"^film(\d+)/").digest == dataset.digest


def test_broken_images_vanish_and_groups_stay_with_theirs(tmp_path):
    images, labels, numbers = films(6, 5)
    folder = write_folder(tmp_path / "films", images, labels, numbers)
    for frame in (0, 7, 31):
        next(folder.glob(f"*/*/{frame:04}.png")).write_bytes(b"torn")
    kept = ~np.isin(np.arange(60), (0, 7, 31))
    whole = write_folder(tmp_path / "whole", images[kept], labels[kept], numbers[kept])
    skipped = load_at(folder, group="folder", broken="skip")
    assert is_same(skipped, load_at(whole, group="folder"))
    assert len(skipped.train) + skipped.test_size == 57


def test_a_limit_draws_as_before_and_groups_follow(tmp_path):
    frames = films(8, 5)
    folder = write_folder(tmp_path, *frames)
    dataset = load_at(folder, group="folder", limit=30)
    assert len(dataset.train) == len(dataset.groups) == 30
    assert dataset.class_sizes.tolist() == [15, 15]
    splits = split(dataset, 0.2, 0)
    sides = [films_of(splits.part(which), frames[0], frames[2]) for which in ("train", "validation")]
    assert not sides[0] & sides[1]


def test_the_cache_keeps_groups_apart_from_the_same_images_without(tmp_path, cache):
    folder = write_folder(tmp_path / "films", *films(6, 5))
    first = load_at(folder, group="folder")
    assert is_same(first, load_at(folder, group="folder"))
    (home,) = (cache / "decoded").iterdir()
    assert np.load(home / "train-groups.npy").dtype == np.int64
    load_at(folder)
    assert len(list((cache / "decoded").iterdir())) == 2
    (home / "train-groups.npy").write_bytes(b"\x93NUMPY")
    assert is_same(first, load_at(folder, group="folder"))
    np.save(home / "train-groups.npy", np.zeros(3, np.int64))
    assert is_same(first, load_at(folder, group="folder"))


def test_without_a_group_the_folder_of_the_cache_has_its_old_name(tmp_path):
    source = find_source(str(write_folder(tmp_path, *films(3, 2))))
    config = DataConfig(source=str(tmp_path))
    identity = cache_module._short_hash([1, str(tmp_path.absolute()), None, None, "error"])
    assert cache_module._folder_name(source, config).split("-")[-2] == identity
    grouped = cache_module._folder_name(source, config.replace(group="folder"))
    assert grouped.split("-")[-2] != identity
    assert grouped != cache_module._folder_name(source, config.replace(group=r"^(\d+)"))


def test_a_job_has_its_group_in_the_fingerprint_only_when_there_is_one():
    config = DataConfig(source="digits")
    assert config.identity() == {}
    assert config.replace(group="folder").identity() == {"group": "folder"}


def numbered(table):
    return renumber(np.array(table))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 5)), min_size=12, max_size=60),
    st.randoms(use_true_random=False),
)
def test_order_of_rows_and_names_of_groups_do_not_matter_even_among_copies(rows, random):
    """Few different images in many groups: copies with one label in several groups are the rule."""
    rows = [*rows, *((label, 4, 6 + label * 3 + n) for label in range(3) for n in range(3))]
    names = list(range(20))
    random.shuffle(names)
    shuffled = [(label, pixel, names[group]) for label, pixel, group in rows]
    random.shuffle(shuffled)
    made = [assembled(rows), assembled(shuffled)]
    if made[0] is None:
        assert made[1] is None
        return
    first, second = made
    for name, part in first.parts.items():
        assert np.array_equal(part.images, second.parts[name].images)
        assert np.array_equal(part.labels, second.parts[name].labels)
        assert np.array_equal(part.groups, second.parts[name].groups)
    assert dataset_digest(first.classes, first.parts) == dataset_digest(second.classes, second.parts)
    check_parts(first)


def check_parts(made, seed=0):
    """No group is in two of training, validation and test, and each class is in each."""
    train, test = made.parts["train"], made.parts["test"]
    part = Part(train.images, train.labels)
    dataset = Dataset("made", made.classes, part, None, part, "0", groups=renumber(train.groups))
    try:
        rows = split(dataset, 0.2, seed)
    except DataError as error:
        assert "no choice of whole groups has every class in training and validation" in str(error)  # noqa: PT017
        return
    sides = [set(train.groups[rows.train]), set(train.groups[rows.validation]), set(test.groups)]
    assert sum(map(len, sides)) == len(set().union(*sides))
    for labels in (train.labels[rows.train], train.labels[rows.validation], test.labels):
        assert len(set(labels.tolist())) == len(made.classes)


def test_planted_a_draw_by_image_is_seen(monkeypatch):
    rows = [(label, 10 * label + n, 4 * label + n % 4) for label in range(3) for n in range(8)]
    check_parts(assembled(rows))
    monkeypatch.setattr(splits, "draw_groups", lambda labels, *_: np.arange(0, len(labels), 2))
    with pytest.raises(AssertionError, match=r"^assert "):
        check_parts(assembled(rows))


def assembled(rows):
    labels, pixels, groups = (np.array(column) for column in zip(*rows, strict=True))
    images = np.repeat(pixels, 12).reshape(-1, 2, 2, 3).astype(np.uint8)
    contents = Contents("made", ("a", "b", "c"), {"train": ArrayPart(labels, images, groups)})
    try:
        return assemble(contents, DataConfig(source="made", group="g"), store_in_memory)
    except DataError as error:
        if not re.search("no choice of whole groups|groups?, and training, validation and test", str(error)):
            raise
        return None


def test_planted_an_order_that_breaks_ties_by_the_source_is_seen(monkeypatch):
    """Two copies in two groups, of which one has another image too: which copy is which group must not depend on the source."""
    rows = [
        (0, 1, 0),
        (0, 1, 1),
        (0, 2, 1),
        *((label, 3 + n, 5 + 4 * label + n) for label in range(3) for n in range(4)),
    ]

    def digests():
        return {dataset_digest(made.classes, made.parts) for made in (assembled(rows), assembled(rows[::-1]))}

    assert len(digests()) == 1
    rank = "striate.data.canonical_order._rank_by_content"
    monkeypatch.setattr(rank, lambda groups, *_: np.zeros(len(groups), np.int64))
    assert len(digests()) == 2


def test_cifar10_is_recognized_with_its_groups(npz, monkeypatch):
    images, labels, numbers = films(5, 6)
    monkeypatch.setattr(cifar10, "SIZES", {"train": 50, "test": 10})
    monkeypatch.setattr(cifar10, "SHAPE", images.shape[1:])
    pairs = (("x", images), ("y", labels), ("f", numbers))
    path = npz(
        **{f"{key}_train": array[:50] for key, array in pairs}, **{f"{key}_test": array[50:] for key, array in pairs}
    )
    plain = load_at(path)
    hashed = {"train": plain.train, "test": plain.open_test("to hash")}
    hashed = {
        name: HashedPart(part.images, part.labels, on_ray.hash_images(part.images)) for name, part in hashed.items()
    }
    monkeypatch.setattr(cifar10, "DIGEST", dataset_digest((), hashed))
    monkeypatch.setattr(cifar10, "CLASSES", CLASSES)
    other = load_at(path, group="f", broken="skip")
    assert other.name == "cifar10"
    first = other.groups == 0
    assert 1 < first.sum() < 50
    assert len(films_of(Part(other.train.images[first], other.train.labels[first]), images, numbers)) == 1


def test_groups_travel_to_the_nodes_of_a_cluster(tmp_path):
    dataset = load_at(write_folder(tmp_path, *films(6, 5)), group="folder")
    packed = on_ray.pack(dataset)
    assert is_same(dataset, on_ray.unpack(packed))
    with pytest.raises(DataError, match=r"the images that arrived on this node are not those that were sent"):
        on_ray.unpack({**packed, "name": "other", "groups": dataset.groups[::-1]})
    config = DataConfig(source="x", group="folder")
    assert on_ray.key(config) == on_ray.key(config.replace(validation=0.2))
    assert on_ray.key(config) != on_ray.key(config.replace(group=None))


@pytest.mark.parametrize(
    ("text", "path", "group"),
    [
        ("folder", "film1/0001.png", "film1"),
        ("folder", "film1/day/0001.png", "film1"),
        ("folder", "0001.png", ""),
        (r"^(.+)_\d+\.png$", "clip_07_0001.png", "clip_07"),
        (r"clip\d+", "walks/clip12-003.png", "clip12"),
        (r"patient(\d+)?", "patient.png", ""),
        (r"site[A-Z]", "0001.png", ""),
        (r"(\d*)", "a.png", ""),
    ],
)
def test_the_group_of_a_path(text, path, group):
    assert path_rule(text)(path) == group


def test_numbers_are_shared_between_parts_and_none_is_a_number_of_its_own():
    numbers = group_numbers({"train": ["a", "", "b"], "test": ["b", "", "c", "a"]})
    assert {name: values.tolist() for name, values in numbers.items()} == {"train": [0, -1, 1], "test": [1, -2, 2, 0]}
    assert numbered([7, 2, 7, 9, 2]).tolist() == [0, 1, 0, 2, 1]


def _folder(tmp_path, npz):
    return write_folder(tmp_path / "films", *films(4, 3))


def _flat(tmp_path, npz):
    return write_folder(tmp_path / "films", *films(4, 3), "{label}/{frame:04}.png")


def _parquet(tmp_path, npz):
    return write_parquet(tmp_path / "films", *films(4, 3), names=[None] * 8)


def _shares(tmp_path, npz):
    home = write_parquet(tmp_path / "films", *films(4, 3))
    table = pq.read_table(home / "all.parquet")
    pq.write_table(table.append_column("share", pa.array([0.5] * len(table))), home / "all.parquet")
    return home


def _npz(tmp_path, npz):
    images, labels, numbers = films(4, 3)
    return npz(
        x_train=images, y_train=labels, x_test=images, y_test=labels, film_train=numbers, short_train=numbers[:5],
        short_test=numbers, share_train=numbers / 2, share_test=numbers, FilmTrain=numbers, day_train=numbers,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "group", "words"),
    [
        (_folder, r"(\d+", r"data.group: '(\d+' is no regular expression (missing ), unterminated subpattern at position 0); mend it, or"),
        (_flat, "folder", "no image lies in a folder below that of its class, such as '0000.png'; put the images of a group into one"),
        (_folder, "clip", "'clip' is found in no path of an image below its class folder, such as 'film00/0000.png'; write an"),
        (_folder, "film", "films: data.group: film: class 'ants' has 1 group, and training, validation and test need one each; give"),
        (_parquet, "movie", "there is no column 'movie' beside images and labels, only film; name one of these"),
        (_parquet, "film", "column 'film' must hold whole numbers or words, got null; cast it, or name another"),
        (_parquet, "image", "column 'image' must hold whole numbers or words, got struct<bytes: binary, path: null>; cast it"),
        (_shares, "share", "column 'share' must hold whole numbers or words, got double; cast it"),
        (_npz, "movie", "'movie' must name one array of the train part, got x_train, y_train, x_test, y_test, film_train and 6 more; add"),
        (_npz, "movie", "; add 'movie_train' or name others"),
        (_npz, "day", "'day' must name one array of the test part, got x_train,"),
        (_npz, "film", "'film' must name one array of the train part, got film_train, FilmTrain; keep one of them"),
        (_npz, "short", "short_train: data.group: must have one value for each of the 24 images, got 5; save them together"),
        (_npz, "share", "share_train: data.group: must be one whole number or word an image, got float64 of 1 dimensions; save"),
        (_npz, "x", "x_train: data.group: must be one whole number or word an image, got uint8 of 4 dimensions"),
        (_npz, "7", "'7' must name one array of the train part"),
    ],
)  # fmt: skip
def test_what_is_no_group_is_refused(make, group, words, tmp_path, npz):
    with pytest.raises(DataError, match=re.escape(words)) as refused:
        load_at(make(tmp_path, npz), group=group)
    assert "\n" not in str(refused.value)


def test_a_column_of_nulls_names_no_group(tmp_path):
    home = write_parquet(tmp_path, *films(4, 3), names=["", "", None, None, "", "", "", ""])
    with pytest.raises(DataError, match="column 'film' names no group in any row; fill it, or name another"):
        load_at(home, group="film")


@pytest.mark.parametrize("source", ["digits"])
def test_a_source_without_names_is_refused(source):
    with pytest.raises(DataError, match=r"the images of digits have no names or columns .* got 'folder'; leave it out"):
        load(DataConfig(source=source, group="folder"))


def test_a_class_whose_training_images_are_one_group(tmp_path):
    images, labels, numbers = films(4, 3)
    for part in ("train", "test"):
        write_folder(tmp_path / part, images, labels, np.where(labels == 1, 99, numbers))
    dataset = load_at(tmp_path, group="folder")
    words = "all training images of class 'bees' of '.*' are in one group: training and validation need one each; give the source"
    with pytest.raises(DataError, match=words):
        split(dataset, 0.1, 0)


def test_groups_that_hold_the_classes_together_crosswise(tmp_path):
    rows = [
        (label, 10 * group + n, group)
        for group, pair in enumerate([(0, 1), (1, 2), (2, 0)])
        for label in pair
        for n in range(3)
    ]
    assert assembled(rows) is None


def test_empty_and_endless_groups_are_refused():
    for group, words in (
        ("", "must not be empty"),
        ("a" * 1001, "at most 1000 characters"),
        ("a\x1b", "control character"),
    ):
        with pytest.raises(ValueError, match=words):
            DataConfig(source="x", group=group)
