"""Loggers that fail in every way they can, and a run that is the same as without them."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from striate.core.errors import ConfigError, MissingExtra
from striate.runs import EpochRow, RunWriter, layout, read
from striate.tracking import LOGGERS, Loggers, RunInfo
from striate.tracking.logger_process import LoggerProcess
from striate.tracking.loggers import describe
from striate.tracking.protocol import flat, numbers
from tests.contracts.logger import ROWS, HarmlessContract, log_run
from tests.contracts.planted_loggers import (
    FAULTY,
    WORKING,
    ClosesItsInput,
    Quiet,
    RaisesAnEscapeSequence,
    RaisesInStart,
    SleepsInStart,
)
from tests.runs.test_runs import finished, make_job


@pytest.fixture
def plant(monkeypatch):
    def add(logger):
        # One that sleeps is waited for to the end; for the others this is only what a hang would cost.
        seconds = 1.0 if logger.__name__.startswith("Sleeps") else 60.0
        monkeypatch.setattr("striate.tracking.loggers.LAST_SECONDS", seconds)
        monkeypatch.setitem(LOGGERS, "planted", logger)
        return "planted"

    return add


@contextmanager
def logged(folder, names, notes=None):
    with (
        RunWriter(folder, make_job()) as writer,
        Loggers(names, writer, ([] if notes is None else notes).append) as loggers,
    ):
        yield loggers


@pytest.mark.parametrize("logger", [*WORKING, *FAULTY], ids=lambda logger: logger.__name__)
class TestPlanted(HarmlessContract):
    @pytest.fixture
    def name(self, logger, plant):
        return plant(logger)

    @pytest.fixture
    def fault(self, logger):
        return FAULTY.get(logger, "")


def calls(folder):
    return (folder / "quiet.txt").read_text().splitlines()


def test_a_logger_hears_everything_in_order(tmp_path, plant):
    log_run(tmp_path / "arm" / "seed-0", plant(Quiet), ROWS[:2])
    assert calls(tmp_path / "arm" / "seed-0") == ["start arm seed 0 after 0", "row 1", "row 2", "finish finished"]


def test_a_resumed_run_continues_where_the_logger_was(tmp_path, plant):
    """Epochs 2 and 3 are trained twice and row 1 comes from the files; none is logged twice."""
    name = plant(Quiet)
    log_run(tmp_path / "arm" / "seed-0", name, ROWS[:3], summary=None)
    log_run(tmp_path / "arm" / "seed-0", name, ROWS[1:4], earlier=ROWS[:1])
    assert calls(tmp_path / "arm" / "seed-0") == [
        *["start arm seed 0 after 0", "row 1", "row 2", "row 3", "finish None"],
        *["start arm seed 0 after 3", "row 4", "finish finished"],
    ]


def test_with_a_broken_ledger_a_logger_starts_again(tmp_path, plant):
    name = plant(Quiet)
    log_run(tmp_path, name, ROWS[:1], summary=None)
    (tmp_path / layout.ledger(name)).write_text('{"token": "first", "epo')
    assert log_run(tmp_path, name, ROWS[1:2], earlier=ROWS[:1]) == []
    assert calls(tmp_path)[-3:] == ["row 1", "row 2", "finish finished"]


def test_one_logger_that_fails_leaves_the_others_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(LOGGERS, "bad", RaisesInStart)
    monkeypatch.setitem(LOGGERS, "good", Quiet)
    notes = []
    with logged(tmp_path, ["bad", "good"], notes) as loggers:
        loggers.log(ROWS[:1])
        loggers.end(finished())
    assert calls(tmp_path)[-2:] == ["row 1", "finish finished"]
    assert [note.split("'")[1] for note in notes] == ["bad"]


@pytest.mark.parametrize("error", [OSError("Cannot allocate memory"), RuntimeError("can't start new thread")], ids=repr)
def test_a_machine_that_starts_no_more_processes_costs_the_log_alone(tmp_path, plant, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr("striate.tracking.loggers.LoggerProcess", refuse)
    (note,) = log_run(tmp_path, plant(Quiet), ROWS)
    assert str(error) in note
    assert read(tmp_path).state == "finished"


def test_a_logger_that_does_not_answer_is_given_up_during_the_run(tmp_path, plant, monkeypatch):
    """So that the end of a long run waits for nothing."""
    monkeypatch.setattr("striate.tracking.logger_process.PATIENCE_SECONDS", -1.0)
    notes = []
    with logged(tmp_path, [plant(SleepsInStart)], notes) as loggers:
        while not notes:  # a clock that has run out is seen at the next row
            loggers.log(ROWS[:1])
    assert "did not answer" in notes[0]


def test_a_logger_that_falls_behind_is_given_up(tmp_path, plant, monkeypatch):
    monkeypatch.setattr("striate.tracking.logger_process.QUEUE", 3)
    notes = []
    with logged(tmp_path, [plant(SleepsInStart)], notes) as loggers:
        for row in ROWS:
            loggers.log([row])
        assert len(notes) == 1
    assert "fell 3 messages behind" in notes[0]


def test_giving_up_a_logger_that_waits_for_the_next_row_ends_at_once(tmp_path):
    """As when its answer arrives while the caller loses patience: nothing may wait for a row that never comes."""
    info = describe("tensorboard", tmp_path, make_job())
    process = LoggerProcess("quiet", "tests.contracts.planted_loggers:Quiet", info)
    while process._unanswered:
        time.sleep(0.01)
    process.give_up("no patience")
    process.finish(finished())
    process.close(0.1)
    assert process.fault == "no patience"


def test_a_logger_that_closes_its_input_is_given_up(tmp_path, plant):
    """The pipe breaks while rows are sent."""
    notes = []
    with logged(tmp_path, [plant(ClosesItsInput)], notes) as loggers:
        while not notes:
            loggers.log(ROWS[:1])
            time.sleep(0.01)
    assert "its process ended" in notes[0]


def test_a_fault_is_shown_without_what_a_terminal_would_obey(tmp_path, plant):
    assert r"ValueError: \x1b[2J" in log_run(tmp_path, plant(RaisesAnEscapeSequence), ROWS)[0]


def test_a_logger_whose_process_is_killed_is_given_up(tmp_path, plant):
    import psutil

    notes = []
    with logged(tmp_path, [plant(Quiet)], notes) as loggers:
        loggers.log(ROWS[:1])
        for child in psutil.Process().children():
            if "striate.tracking.child" in child.cmdline():
                os.kill(child.pid, signal.SIGKILL)
        loggers.end(finished())
    assert "its process ended" in notes[0]


def test_a_logger_that_hangs_alone_ends_too(tmp_path):
    """Its run's process was killed: nobody is there to give it up."""
    info = {**vars(RunInfo(study="s", arm="a", seed=0, fingerprint="f", folder=str(tmp_path), home=str(tmp_path)))}
    program = (
        "import sys, striate.tracking.child as child; child.ORPHAN_SECONDS = 0.1\n"
        "sys.argv[1:] = ['tests.contracts.planted_loggers:SleepsInStart']; child.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps({"start": info}) + "\n", text=True, timeout=60, check=False
    )
    assert done.returncode == 1


def test_a_finished_run_that_is_only_read_starts_no_logger(tmp_path, plant):
    log_run(tmp_path, plant(Quiet), ROWS[:1])
    before = calls(tmp_path)
    with logged(tmp_path, ["planted"]) as loggers:
        loggers.end(read(tmp_path).summary)
    assert calls(tmp_path) == before


def test_an_unknown_logger_and_one_that_is_not_installed_are_reported_before_the_run(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"no logger is called 'tensorbord'; did you mean 'tensorboard'\?"):
        Loggers(["tensorbord"], RunWriter(tmp_path, make_job()))
    monkeypatch.setattr(LOGGERS["wandb"], "package", "no_such_package")
    with pytest.raises(MissingExtra, match=r"'log: wandb' needs no_such_package: pip install 'striate\[wandb\]'"):
        Loggers(["wandb"], RunWriter(tmp_path, make_job()))


def test_settings_and_numbers_are_flat():
    assert flat({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}
    assert numbers(EpochRow(epoch=1, train_accuracy=1)) == {"train_accuracy": 1.0, "seconds": 0.0}
    assert numbers(finished(best_epoch=2, at_chance=True))["best_epoch"] == 2.0
    assert not numbers(finished()).keys() & {"at_chance", "state", "validation_loss"}


def test_every_logger_has_its_extra():
    import tomllib
    from pathlib import Path

    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {name: extras[name][0].split(">")[0] for name in LOGGERS} == {
        name: logger.package for name, logger in LOGGERS.items()
    }


def test_a_run_is_named_by_its_arm_and_seed():
    info = RunInfo(study="s", arm="wide", seed=2, fingerprint="f", folder="/r", home="/h")
    assert info.name == "wide seed 2"
