"""What every logger promises, as tests. A logger's own tests inherit them and read its log back."""

import pytest

from striate.runs import EpochRow, RunWriter, Summary, read
from striate.tracking import Loggers
from tests.runs.test_runs import finished, make_job

ROWS = [
    EpochRow(epoch=epoch, train_loss=1.0 / epoch, validation_accuracy=0.5 + epoch / 100, seconds=2.0 * epoch)
    for epoch in range(1, 6)
]
RESULT = finished(epochs=5, test_accuracy=0.75)


def log_run(folder, name, rows, summary: Summary | None = RESULT, earlier=()):
    """One attempt at a run, as `train` makes it; returns the notes to its user."""
    notes: list[str] = []
    writer = RunWriter(folder, make_job())
    with writer, Loggers([name], writer, notes.append) as loggers:
        writer.rewind(earlier)
        loggers.log(earlier)
        for row in rows:
            writer.append(row)
            loggers.log([row])
        if summary:
            loggers.end(writer.finish(summary))
    return notes


class HarmlessContract:
    """For loggers with a fault too. Needs the fixtures `name` and `fault` ("" where there is none)."""

    def test_the_run_has_its_own_files_whatever_the_logger_does(self, tmp_path, name, fault):
        notes = log_run(tmp_path / "run", name, ROWS)
        assert read(tmp_path / "run").metrics == tuple(ROWS)
        assert read(tmp_path / "run").state == "finished"
        assert len(notes) == (1 if fault else 0)
        assert all(f"logger '{name}' was given up: {fault}" in note for note in notes)
        assert all("\n" not in note for note in notes)

    def test_a_fault_is_kept_in_the_log_of_the_run(self, tmp_path, name, fault):
        log_run(tmp_path / "run", name, ROWS)
        log = tmp_path / "run" / "log.txt"
        assert (fault in log.read_text()) if fault else not log.exists()

    def test_nothing_of_it_goes_on_after_the_run(self, tmp_path, name, fault):
        import psutil

        before = {child.pid for child in psutil.Process().children(recursive=True)}
        log_run(tmp_path / "run", name, ROWS)
        assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


class LoggerContract(HarmlessContract):
    """Needs `name`, and `read_back(folder)`: for each metric the (epoch, value) pairs that the log holds, in order."""

    @pytest.fixture
    def fault(self):
        return ""

    def test_each_row_is_there_once_with_its_numbers(self, tmp_path, name, read_back):
        assert log_run(tmp_path / "run", name, ROWS) == []
        log = read_back(tmp_path / "run")
        for key in ("train_loss", "validation_accuracy"):
            assert log[key] == [(row.epoch, pytest.approx(getattr(row, key))) for row in ROWS]

    def test_a_resumed_run_has_each_row_once(self, tmp_path, name, read_back):
        """Stopped after four epochs and resumed after the second: three and four are trained again, and not logged again."""
        assert log_run(tmp_path / "run", name, ROWS[:4], summary=None) == []
        assert log_run(tmp_path / "run", name, ROWS[2:], earlier=ROWS[:2]) == []
        assert read_back(tmp_path / "run")["train_loss"] == [(row.epoch, pytest.approx(row.train_loss)) for row in ROWS]

    def test_a_logger_chosen_late_gets_what_it_missed(self, tmp_path, name, read_back):
        assert log_run(tmp_path / "run", name, ROWS[3:], earlier=ROWS[:3]) == []
        assert [epoch for epoch, _ in read_back(tmp_path / "run")["train_loss"]] == [1, 2, 3, 4, 5]

    def test_a_number_that_is_missing_is_no_fault(self, tmp_path, name, read_back):
        """As in the epoch that a run diverged in."""
        rows = [*ROWS[:2], ROWS[2].replace(train_loss=None, validation_accuracy=None)]
        assert log_run(tmp_path / "run", name, rows, finished(state="diverged", test_accuracy=None)) == []
        assert [epoch for epoch, _ in read_back(tmp_path / "run")["train_loss"]] == [1, 2]
