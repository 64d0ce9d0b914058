"""A run with loggers, working and faulty, is the run without them."""

import pytest

from striate.engines.select import train
from striate.runs import read
from striate.tracking import LOGGERS
from tests.contracts.planted_loggers import FAULTY, Quiet, RaisesInRow, SleepsInRow, SleepsInStart
from tests.engines.pytorch.conftest import files


@pytest.fixture
def logged(job, dataset, monkeypatch):
    """Trains with a planted logger; returns the notes to the user."""

    def run(folder, logger, **options):
        monkeypatch.setitem(LOGGERS, "planted", logger)
        seconds = 1.0 if logger.__name__.startswith("Sleeps") else 60.0
        monkeypatch.setattr("striate.tracking.loggers.LAST_SECONDS", seconds)
        notes = []
        train(job, folder, dataset=dataset, threads=1, loggers=["planted"], note=notes.append, **options)
        return notes

    return run


@pytest.mark.parametrize("logger", [Quiet, RaisesInRow, SleepsInStart, SleepsInRow], ids=lambda logger: logger.__name__)
def test_a_run_ends_the_same_with_and_without(tmp_path, job, dataset, logged, logger):
    train(job, tmp_path / "without", dataset=dataset, threads=1)
    notes = logged(tmp_path / "with", logger)
    assert files(tmp_path / "with") == files(tmp_path / "without")
    assert read(tmp_path / "with").state == "finished"
    assert [FAULTY[logger] in note for note in notes] == ([True] if logger in FAULTY else [])
    assert "logger" not in read(tmp_path / "with").description


def test_a_stopped_run_goes_on_with_its_logger(tmp_path, logged):
    reports = []
    logged(tmp_path, Quiet, report=reports.append, should_stop=lambda: bool(reports) and reports[-1].epoch > 1)
    assert read(tmp_path).state == "unfinished"
    assert logged(tmp_path, Quiet) == []
    calls = (tmp_path / "quiet.txt").read_text().splitlines()
    assert [line for line in calls if line.startswith("row")] == ["row 1", "row 2", "row 3"]
    assert [line for line in calls if line.startswith("finish")] == ["finish None", "finish finished"]


def test_a_run_that_fails_tells_its_logger(tmp_path, logged, monkeypatch):
    def fail(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr("striate.engines.pytorch.engine.evaluate", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        logged(tmp_path, Quiet)
    assert (tmp_path / "quiet.txt").read_text().splitlines()[-1] == "finish failed"
    assert "no memory" in (tmp_path / "log.txt").read_text()
