"""A dataset has one digest and one order in every format and place, and a changed dataset another."""

import subprocess
import sys

import numpy as np
import pytest

from striate.data import DataConfig, load

CLASSES = ("a", "b", "c")


def arrays(parts):
    (x_train, y_train), (x_test, y_test) = parts["train"], parts["test"]
    return {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
        "class_names": np.array(CLASSES),
    }


def is_same(dataset, other):
    tests = dataset.open_test("to compare"), other.open_test("to compare")
    pairs = [(dataset.train, other.train), tests]
    equal = all(np.array_equal(p.images, q.images) and np.array_equal(p.labels, q.labels) for p, q in pairs)
    return equal and dataset.digest == other.digest and dataset.classes == other.classes


@pytest.fixture
def from_npz(npz, parts):
    return load(DataConfig(source=str(npz(**arrays(parts)))))


def test_folder_and_parquet_equal_npz(from_npz, folder, parquet, parts):
    assert is_same(from_npz, load(DataConfig(source=str(folder(parts, CLASSES)))))
    assert is_same(from_npz, load(DataConfig(source=str(parquet(parts, CLASSES)))))


def test_the_order_of_the_rows_does_not_matter(from_npz, npz, parts):
    shuffled = {part: (images[::-1], labels[::-1]) for part, (images, labels) in parts.items()}
    assert is_same(from_npz, load(DataConfig(source=str(npz("shuffled", **arrays(shuffled))))))


def test_the_held_out_test_part_is_the_same_from_every_format(folder, parquet, parts):
    flat = load(DataConfig(source=str(folder({"": parts["train"]}, CLASSES))))
    assert is_same(flat, load(DataConfig(source=str(parquet({"all": parts["train"]}, CLASSES)))))


def test_one_image_with_two_labels_has_an_order_too(npz, parts):
    parts["train"][0][1] = parts["train"][0][0]
    reversed_parts = {part: (images[::-1], labels[::-1]) for part, (images, labels) in parts.items()}
    assert is_same(
        *(
            load(DataConfig(source=str(npz(name, **arrays(p)))))
            for name, p in (("forward", parts), ("reversed", reversed_parts))
        )
    )


@pytest.mark.parametrize("change", ["pixel", "label", "class name", "test pixel", "moved"])
def test_any_change_changes_the_digest(from_npz, npz, parts, change):
    planted = {key: value.copy() for key, value in arrays(parts).items()}
    if change == "pixel":
        planted["x_train"][4, 2, 3, 1] ^= 1
    elif change == "label":
        planted["y_train"][:2] = planted["y_train"][1::-1]
    elif change == "class name":
        planted["class_names"][1] = "z"
    elif change == "test pixel":
        planted["x_test"][0, 0, 0, 0] ^= 1
    else:  # the same images, the same labels, another part
        planted["x_train"][0], planted["x_test"][0] = parts["test"][0][0], parts["train"][0][0]
    assert load(DataConfig(source=str(npz("planted", **planted)))).digest != from_npz.digest


def test_what_shapes_the_images_is_in_the_digest(from_npz, npz, parts):
    path = str(npz(**arrays(parts)))
    others = [DataConfig(source=path, channels=1), DataConfig(source=path, size=4), DataConfig(source=path, limit=9)]
    assert len({from_npz.digest, *(load(config).digest for config in others)}) == 4
    # What does not shape them is not: the split is drawn later, by the seed.
    assert load(DataConfig(source=path, validation=0.5)).digest == from_npz.digest


@pytest.mark.parametrize(("count", "note"), [(1, "1 image is"), (2, "2 images are")])
def test_images_in_two_parts_are_counted_in_a_note(npz, parts, count, note):
    parts["test"][0][:count] = parts["train"][0][:count]
    notes = load(DataConfig(source=str(npz(**arrays(parts))))).notes
    assert notes == (f"{note} in the test part and, pixel by pixel, also in the train part",)


def test_a_limit_is_a_stratified_subset_and_leaves_the_test_part_whole(from_npz, npz, parts):
    path = str(npz(**arrays(parts)))
    small, large = (load(DataConfig(source=path, limit=limit)) for limit in (9, 18))
    assert np.bincount(small.train.labels).tolist() == [3, 3, 3]
    assert small.test_size == 9
    rows = [{image.tobytes() for image in dataset.train.images} for dataset in (small, large, from_npz)]
    assert rows[0] < rows[1] < rows[2]
    assert is_same(from_npz, load(DataConfig(source=path, limit=1000)))


def test_loading_a_folder_needs_no_torch_and_no_other_heavy_package(folder, parts):
    heavy = {"torch", "torchvision", "sklearn", "pyarrow", "scipy"}
    code = f"""
import sys
from striate.data import DataConfig, load, split
split(load(DataConfig(source={str(folder(parts))!r})), 0.1, 0)
print(sorted({heavy!r} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
