"""Images are decoded once and mapped afterwards, decoded again when anything changed, and in memory without a cache."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from striate.core.errors import DataError
from striate.data import DataConfig, load, picture
from striate.data import cache as cache_module
from striate.data.cache import cache_folder
from tests.data.odd_folders import ODD


@pytest.fixture
def config(folder, parts):
    return DataConfig(source=str(folder(parts)))


@pytest.fixture
def reads(monkeypatch):
    """Counts the images that are decoded."""
    calls, decode = [], picture.decode
    monkeypatch.setattr(picture, "decode", lambda *args: calls.append(args) or decode(*args))
    return calls


def cached_folders(home):
    return sorted((home / "decoded").iterdir())


def test_images_are_decoded_once_and_mapped(config, reads):
    first, second = load(config), load(config)
    assert len(reads) == 39
    assert second.digest == first.digest
    for part in (first.train, second.train, second.open_test("to check its type")):
        assert isinstance(part.images, np.memmap)
        assert not part.images.flags.writeable


def test_what_does_not_change_pixels_uses_the_same_folder(config, reads, cache):
    load(config)
    load(config.replace(limit=9, validation=0.5))
    assert (len(reads), len(cached_folders(cache))) == (39, 1)
    load(config.replace(channels=1))
    assert (len(reads), len(cached_folders(cache))) == (78, 2)


@pytest.mark.parametrize("change", ["new", "removed", "touched"])
def test_a_changed_source_is_decoded_again_and_replaces_its_earlier_state(config, reads, cache, tmp_path, change):
    before = load(config)
    image = tmp_path / "folder" / "train" / "a" / "000.png"
    if change == "new":
        shutil.copy(image, image.with_name("more.png"))
    elif change == "removed":
        image.unlink()
    else:
        os.utime(image, ns=(1, 1))
    after = load(config)
    assert len(reads) > 39
    assert len(cached_folders(cache)) == 1
    assert (before.digest == after.digest) == (change == "touched")
    assert before.train.images.sum() > 0  # still mapped


@pytest.mark.parametrize("fault", ["torn images", "torn labels", "torn meta", "missing", "other count"])
def test_what_cannot_be_read_is_decoded_again(config, reads, cache, fault):
    digest = load(config).digest
    (home,) = cached_folders(cache)
    if fault == "torn images":
        (home / "train.npy").write_bytes((home / "train.npy").read_bytes()[:-1])
    elif fault == "torn labels":
        (home / "test-labels.npy").write_bytes(b"\x93NUMPY")
    elif fault == "torn meta":
        (home / "meta.json").write_text('{"classes"')
    elif fault == "missing":
        (home / "test.npy").unlink()
    else:
        np.save(home / "train-labels.npy", np.zeros(3, np.int64))
    assert load(config).digest == digest
    assert len(reads) == 78
    assert load(config).digest == digest
    assert len(reads) == 78


def test_another_version_is_another_folder(config, reads, monkeypatch):
    load(config)
    monkeypatch.setattr(cache_module, "VERSION", cache_module.VERSION + 1)
    load(config)
    assert len(reads) == 78


def _as_an_older_version_wrote_it(home):
    """The folder of the cache with a meta.json that does not say which version read the source."""
    (folder,) = cached_folders(home)
    meta = json.loads((folder / "meta.json").read_text())
    del meta["reader"], meta["bits"]
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def test_what_an_older_version_decoded_is_used(config, reads, cache):
    before = load(config)
    folder = _as_an_older_version_wrote_it(cache)
    assert load(config).digest == before.digest
    assert len(reads) == 39
    assert json.loads((folder / "meta.json").read_text())["reader"] == cache_module.READER


@pytest.mark.parametrize("name", ["twelve bits in sixteen", "x val", "classes in another order"])
def test_what_an_older_version_read_wrongly_is_decoded_again(cache, tmp_path, name):
    config = DataConfig(source=str(ODD[name].make(tmp_path / "odd") or tmp_path / "odd"))
    right = load(config)
    folder = _as_an_older_version_wrote_it(cache)
    for array in folder.glob("t*n.npy"):  # as it was: black
        np.save(array, np.load(array) // 16)
    assert load(config).digest == right.digest


def test_without_a_cache_images_are_in_memory(config, monkeypatch, tmp_path):
    mapped = load(config)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "file"))
    dataset = load(config)
    assert dataset.digest == mapped.digest
    assert not isinstance(dataset.train.images, np.memmap)
    assert "could not be used" in dataset.notes[-1]


def test_a_full_disk_leaves_images_in_memory_and_nothing_behind(config, cache, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("striate.data.cache._write_folder", full)
    dataset = load(config)
    assert len(dataset.train) == 30
    assert "No space left on device" in dataset.notes[-1]
    assert cached_folders(cache) == []


def test_an_error_leaves_nothing_behind(config, cache, tmp_path):
    (tmp_path / "folder" / "train" / "a" / "torn.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"torn\.png: cannot be read as an image"):
        load(config)
    assert cached_folders(cache) == []


def test_two_processes_at_once(config, cache):
    code = f"from striate.data import DataConfig, load; print(load(DataConfig(source={config.source!r})).digest)"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = {process.communicate()[0].strip() for process in started}
    assert printed == {load(config).digest}
    assert len(cached_folders(cache)) == 1


def test_the_second_of_two_writers_uses_what_the_first_wrote(config, cache, monkeypatch):
    write = cache_module._write_folder

    def overtaken(folder, dataset):
        write(folder, dataset)
        monkeypatch.setattr(cache_module, "_write_folder", write)
        load(config)

    monkeypatch.setattr(cache_module, "_write_folder", overtaken)
    assert isinstance(load(config).train.images, np.memmap)
    assert len(cached_folders(cache)) == 1


def test_a_name_with_brackets_is_replaced_like_any_other(folder, parts, cache):
    path = folder(parts, name="set[1]")
    load(DataConfig(source=str(path)))
    os.utime(path / "train" / "a" / "000.png", ns=(1, 1))
    load(DataConfig(source=str(path)))
    assert len(cached_folders(cache)) == 1


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.setenv("STRIATE_CACHE", "~/there")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "there"
    monkeypatch.setenv("STRIATE_CACHE", "~nobody-of-this-name/x")
    with pytest.raises(
        DataError, match=r"STRIATE_CACHE: .* names a user whose home directory is unknown; write it out"
    ):
        cache_folder()


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
def test_the_cache_is_in_the_user_s_cache_directory(monkeypatch, tmp_path):
    """The same folder as before platformdirs was used, so that nothing is decoded again."""
    monkeypatch.delenv("STRIATE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "striate"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "striate"
