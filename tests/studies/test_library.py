"""Every built-in study at every size: it is checked and planned, on small stand-ins of its images."""

import numpy as np
import pytest

from striate.core import config
from striate.data import loading
from striate.data.sources import npz
from striate.studies.loaded import FORMER_NAMES, LIBRARY, built_in, load
from tests.data.conftest import pictures

NAMES = sorted(path.stem for path in LIBRARY.glob("*.yaml"))
SIZES = ("small", "report", "full")
# By name: classes, images a part, side.
STAND_INS = {"cifar10": (10, 60, 32), "ants_bees": (2, 12, 256), "scenes": (6, 36, 100)}


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    files = {}
    for name, (classes, count, side) in STAND_INS.items():
        images = pictures(2 * count, side=side)[0]
        labels = np.arange(2 * count) % classes
        train, test = slice(0, count), slice(count, None)
        files[name] = folder / f"{name}.npz"
        np.savez(
            files[name],
            train_images=images[train],
            train_labels=labels[train],
            test_images=images[test],
            test_labels=labels[test],
        )
    return files


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_study_is_planned_at_every_size(name, stand_ins, monkeypatch, tmp_path):
    for source, path in stand_ins.items():
        monkeypatch.setitem(loading.NAMED_SOURCES, source, lambda path=path: npz.find(path))
    planned = {size: load(name, size=size, out=tmp_path) for size in ("", *SIZES)}
    for study in planned.values():
        study.check_engines()
        assert study.plan().due
    whole, report, full = planned[""], planned["report"], planned["full"]
    assert report.arms == whole.arms  # the settings of the source are the file as it stands
    assert len(full.study.seeds) >= 5
    assert {study.folder.name for study in planned.values()} == {name, *(f"{name}-{size}" for size in SIZES)}


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_study_fits_on_a_screen_and_says_where_it_is_from(name):
    text = (LIBRARY / f"{name}.yaml").read_text()
    assert text.startswith("#")
    assert len(text.splitlines()) <= 45
    assert max(map(len, text.splitlines())) <= 160
    study = config.read(LIBRARY / f"{name}.yaml").data
    assert set(study["sizes"]) == set(SIZES)
    if name != "quickstart":
        assert study["source"].startswith("report ")
        assert study["row"]
        assert study.get("claims") or study.get("search")


def test_early_stopping_is_off_where_a_study_says_so():
    """A named recipe has it on, and `stop: {}` over that changes nothing."""
    stops = {arm.name: arm.recipe.stop for arm in load("which-parts-matter").arms}
    assert (stops["report"].patience, stops["no early stopping"].patience) == (5, None)
    assert load("are-fc-layers-needed").arms[0].recipe.stop.patience is None


def test_former_names_still_work():
    assert set(FORMER_NAMES.values()) <= built_in().keys()
    assert not FORMER_NAMES.keys() & built_in().keys()
    assert load("batchnorm").study == load("does-batchnorm-help").study
