"""Parquet files as the hub keeps them, and near misses."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from striate.core.errors import DataError
from striate.data import DataConfig, load


def load_at(path, **config):
    return load(DataConfig(source=str(path), **config))


def test_parts_by_the_names_of_files(parquet, parts, pictures):
    path = parquet({"train": parts["train"], "validation": pictures(6, seed=2), "test": parts["test"]}, ("x", "y", "z"))
    dataset = load_at(path)
    assert (len(dataset.train), len(dataset.validation), dataset.test_size) == (30, 6, 9)
    assert dataset.classes == ("x", "y", "z")


@pytest.mark.parametrize("below", ["plain_text", "data"])
def test_the_folders_of_the_hub_and_other_columns(parquet, parts, below):
    digest = load_at(parquet(parts)).digest
    parquet(parts, name=f"hub/{below}", columns=("image", "labels"))
    assert load_at(parquet({}, name="hub")).digest == digest


def test_one_file_is_one_part(parquet, parts):
    path = parquet({"train": parts["train"]}) / "train-00000-of-00001.parquet"
    dataset = load_at(path)
    assert (len(dataset.train), dataset.test_size) == (24, 6)


def test_words_as_labels(tmp_path, parquet, parts):
    path = parquet({"train": parts["train"]}) / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    words = pa.array(["cat" if label else "ant" for label in table["label"].to_pylist()])
    pq.write_table(table.set_column(1, "label", words), tmp_path / "words.parquet")
    assert load_at(tmp_path / "words.parquet").classes == ("ant", "cat")


def test_metadata_of_another_shape_is_no_error(tmp_path, parquet, parts):
    path = parquet({"train": parts["train"]}) / "train-00000-of-00001.parquet"
    for i, metadata in enumerate(
        ['{"info": null}', "no json", '{"info": {"features": {"label": {"dtype": "int64"}}}}']
    ):
        pq.write_table(
            pq.read_table(path).replace_schema_metadata({"huggingface": metadata}), tmp_path / f"{i}.parquet"
        )
        assert load_at(tmp_path / f"{i}.parquet").classes == ("0", "1", "2")


def test_a_broken_row_is_named(tmp_path, parquet, parts):
    path = parquet({"train": parts["train"]}) / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    images = table["img"].to_pylist()
    images[7], images[9] = {"bytes": b"no image", "path": None}, None
    pq.write_table(table.set_column(0, "img", pa.array(images)), tmp_path / "planted.parquet")
    with pytest.raises(DataError, match=r"planted.parquet row 7: cannot be read as an image"):
        load_at(tmp_path / "planted.parquet")
    notes = load_at(tmp_path / "planted.parquet", broken="skip").notes
    assert notes[-1] == "2 broken files skipped: planted.parquet row 7, planted.parquet row 9"


def test_columns_that_are_missing(parquet, parts):
    with pytest.raises(DataError, match="needs a column img or image, got picture, label; rename"):
        load_at(parquet(parts, columns=("picture", "label")))
    with pytest.raises(DataError, match="needs a column label, labels or fine_label, got img, y; rename"):
        load_at(parquet(parts, columns=("img", "y")))


def test_labels_that_are_missing_or_fractions(tmp_path):
    for labels, message in (([0, None], "1 rows without a label"), ([0.5, 1.0], "whole numbers or words, got double")):
        pq.write_table(pa.table({"img": [b"", b""], "label": labels}), tmp_path / "planted.parquet")
        with pytest.raises(DataError, match=message):
            load_at(tmp_path / "planted.parquet")


def test_labels_without_an_image(parquet, parts):
    images, labels = parts["test"]
    with pytest.raises(DataError, match=r"test part: labels must be 0 to 2 for 3 classes, got -1 \(9 out of range\)"):
        load_at(parquet({"train": parts["train"], "test": (images, labels * 0 - 1)}))


def test_a_file_that_belongs_to_no_part(parquet, parts):
    with pytest.raises(
        DataError, match=r"'extra-00000-of-00001.parquet' belongs to no part; begin its name with train"
    ):
        load_at(parquet({**parts, "extra": parts["test"]}))


def test_a_file_that_is_no_parquet(tmp_path):
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(DataError, match=r"text.parquet: cannot be read as parquet \(.*\); fetch it again"):
        load_at(tmp_path / "text.parquet")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0], [0, 1]], r"column label must hold whole numbers or words, got list<.*>; cast it"),
        ([True, False], "column label must hold whole numbers or words, got bool; cast it"),
        ([b"ant", b"bee"], "column label must hold whole numbers or words, got binary; cast it"),
        ([0, 10**9], "labels must be 0, 1, ... with images of each, got 1000000000 among 2 images"),
        (
            pa.array([0, 2**64 - 1], pa.uint64()),
            "labels must be 0, 1, ... with images of each, got 9223372036854775807 among 2",
        ),
        (pa.array([], pa.int64()), "needs at least 2 classes, got none"),
    ],
)
def test_labels_of_another_kind(tmp_path, labels, message):
    """A list in a label once ended in a traceback, and one label of 10^9 in a list of so many class names."""
    pq.write_table(pa.table({"img": [b""] * len(labels), "label": labels}), tmp_path / "planted.parquet")
    with pytest.raises(DataError, match=message):
        load_at(tmp_path / "planted.parquet")


def test_words_as_a_dictionary_column(tmp_path, parquet, parts):
    path = parquet({"train": parts["train"]}) / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    words = pa.array(["cat" if label else "ant" for label in table["label"].to_pylist()]).dictionary_encode()
    pq.write_table(table.set_column(1, "label", words), tmp_path / "words.parquet")
    assert load_at(tmp_path / "words.parquet").classes == ("ant", "cat")


def test_two_classes_of_one_name(parquet, parts):
    with pytest.raises(DataError, match="two classes are named 'x'; give each its own name"):
        load_at(parquet(parts, ("x", "y", "x")))


def test_a_damaged_column(parquet, parts, cache):
    """The footer is sound, so that the damage shows only while pixels are read."""
    path = parquet({"train": parts["train"]}) / "train-00000-of-00001.parquet"
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = bytearray(path.read_bytes())
    start = column.data_page_offset
    data[start : start + 100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be read as parquet \(.*\); fetch it again"):
        load_at(path)


@pytest.mark.parametrize("word", ["bell\x07", "ant\0"])
def test_class_names_that_cannot_be_printed(tmp_path, parquet, parts, word):
    with pytest.raises(DataError, match="parquet: a class name must not contain the control character"):
        load_at(parquet(parts, ("x", "y", word)))
    words = ["ant", "bee", word]
    pq.write_table(pa.table({"img": [b""] * 3, "label": words}), tmp_path / "words.parquet")
    with pytest.raises(DataError, match="column label: a class name must not contain the control character"):
        load_at(tmp_path / "words.parquet")
