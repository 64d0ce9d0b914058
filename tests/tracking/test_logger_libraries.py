"""The real loggers under the contract, and their logs read back: each where its package is installed."""

import struct
from collections import defaultdict
from contextlib import ExitStack

import pytest

from striate.runs import RunWriter, layout
from striate.tracking import Loggers
from tests.contracts.logger import RESULT, ROWS, LoggerContract, log_run
from tests.needs import needs_package
from tests.runs.test_runs import make_job

# The packages' own deprecations are not ours, nor are files that they leave open.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """What a hang would cost here; a machine with much to do may need more than a user would wait."""
    monkeypatch.setattr("striate.tracking.loggers.LAST_SECONDS", 120.0)
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT", "WANDB_ENTITY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")


def tensorboard_events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / layout.TENSORBOARD), size_guidance={"scalars": 0})
    events.Reload()
    return events


class TestTensorBoard(LoggerContract):
    @pytest.fixture(autouse=True)
    def is_installed(self):
        needs_package("tensorboard")

    @pytest.fixture
    def name(self):
        return "tensorboard"

    @pytest.fixture
    def read_back(self):
        def read(folder):
            events = tensorboard_events(folder)
            return {
                tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
            }

        return read

    def test_it_has_the_result_and_the_settings(self, tmp_path, read_back):
        log_run(tmp_path / "wide" / "seed-0", "tensorboard", ROWS)
        assert read_back(tmp_path / "wide" / "seed-0")["result/test_accuracy"] == [(5, 0.75)]
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        metadata = tensorboard_events(tmp_path / "wide" / "seed-0").summary_metadata["_hparams_/session_start_info"]
        settings = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info.hparams
        assert settings["network.layers"].string_value == "conv8"
        assert settings["recipe.epochs"].number_value == make_job().recipe.epochs

    def test_what_a_kill_left_beyond_the_ledger_is_not_drawn_twice(self, tmp_path, read_back):
        """The event of epoch 3 is in the file, and the ledger does not know it."""
        log_run(tmp_path / "run", "tensorboard", ROWS[:3], summary=None)
        ledger = tmp_path / "run" / layout.ledger("tensorboard")
        ledger.write_text(ledger.read_text().replace('"epoch": 3', '"epoch": 2'))
        log_run(tmp_path / "run", "tensorboard", ROWS[2:], earlier=ROWS[:2])
        assert [epoch for epoch, _ in read_back(tmp_path / "run")["train_loss"]] == [1, 2, 3, 4, 5]


class TestMlflow(LoggerContract):
    @pytest.fixture(autouse=True)
    def is_installed(self):
        needs_package("mlflow")

    @pytest.fixture
    def name(self):
        return "mlflow"

    @pytest.fixture
    def read_back(self):
        def read(folder):
            client, run = only_mlflow_run(folder)
            return {
                key: [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            }

        return read

    def test_it_has_the_result_the_settings_and_how_it_ended(self, tmp_path):
        folder = tmp_path / "wide" / "seed-0"
        log_run(folder, "mlflow", ROWS)
        _, run = only_mlflow_run(folder)
        assert run.data.metrics["result.test_accuracy"] == 0.75
        assert run.data.params["network.layers"] == "conv8"
        assert run.info.status == "FINISHED"
        assert (run.info.run_name, run.data.tags["arm"], run.data.tags["state"]) == ("wide seed 0", "wide", "finished")

    def test_a_stopped_run_says_so_until_it_is_resumed(self, tmp_path):
        log_run(tmp_path, "mlflow", ROWS[:2], summary=None)
        assert only_mlflow_run(tmp_path)[1].info.status == "KILLED"

    def test_what_a_kill_left_beyond_the_ledger_is_not_logged_twice(self, tmp_path, read_back):
        log_run(tmp_path, "mlflow", ROWS[:3], summary=None)
        ledger = tmp_path / layout.ledger("mlflow")
        ledger.write_text(ledger.read_text().replace('"epoch": 3', '"epoch": 2'))
        log_run(tmp_path, "mlflow", ROWS[2:], earlier=ROWS[:2])
        assert [epoch for epoch, _ in read_back(tmp_path)["train_loss"]] == [1, 2, 3, 4, 5]

    def test_runs_of_a_study_that_begin_at_once_share_one_database(self, tmp_path):
        """None of them finds a database that is half made."""
        from mlflow import MlflowClient

        (tmp_path / layout.STUDY).write_text("question: x\n")
        notes: list[str] = []
        with ExitStack() as stack:
            writers = [
                stack.enter_context(RunWriter(tmp_path / "arm" / f"seed-{seed}", make_job(seed=seed)))
                for seed in range(3)
            ]
            runs = [Loggers(["mlflow"], writer, notes.append) for writer in writers]
            for loggers in runs:
                loggers.log(ROWS[:1])
            for loggers in runs:
                loggers.end(RESULT)
        assert notes == []
        client = MlflowClient(f"sqlite:///{tmp_path / layout.MLFLOW}")
        experiment = client.get_experiment_by_name(tmp_path.name)
        assert len(client.search_runs([experiment.experiment_id])) == 3

    def test_its_own_variable_says_where(self, tmp_path, monkeypatch):
        from mlflow import MlflowClient

        elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
        assert log_run(tmp_path / "arm" / "seed-0", "mlflow", ROWS) == []
        client = MlflowClient(elsewhere)
        assert len(client.search_runs([client.get_experiment_by_name("mine").experiment_id])) == 1
        assert not list(tmp_path.rglob(layout.MLFLOW))


def only_mlflow_run(folder):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / layout.MLFLOW}")
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return client, run


class TestWeightsAndBiases(LoggerContract):
    @pytest.fixture(autouse=True)
    def is_installed(self):
        needs_package("wandb")

    @pytest.fixture
    def name(self):
        return "wandb"

    @pytest.fixture
    def read_back(self):
        def read(folder):
            log = defaultdict(list)
            for record in wandb_records(folder):
                row = wandb_items(record.history)
                for key, value in row.items():
                    log[key].append((row["epoch"], value))
            return log

        return read

    def test_a_resumed_run_keeps_its_id(self, tmp_path):
        log_run(tmp_path, "wandb", ROWS[:2], summary=None)
        log_run(tmp_path, "wandb", ROWS[2:], earlier=ROWS[:2])
        ids = [record.run.run_id for record in wandb_records(tmp_path) if record.WhichOneof("record_type") == "run"]
        assert len(ids) >= 2
        assert len(set(ids)) == 1
        assert ids[0].startswith(make_job().fingerprint)

    def test_it_has_the_result_the_settings_and_the_place(self, tmp_path):
        folder = tmp_path / "study" / "wide" / "seed-0"
        log_run(folder, "wandb", ROWS)
        records = wandb_records(folder)
        (run,) = {record.run.SerializeToString(): record.run for record in records if record.run.run_id}.values()
        assert (run.project, run.run_group, run.display_name) == ("study", "wide", "wide seed 0")
        summary = {}
        for record in records:
            summary |= wandb_items(record.summary, "update")
        assert summary["test_accuracy"] == 0.75
        assert [record.exit.exit_code for record in records if record.WhichOneof("record_type") == "exit"] == [0]


def wandb_items(part, field="item"):
    import json

    return {item.key or item.nested_key[0]: json.loads(item.value_json) for item in getattr(part, field)}


def wandb_records(folder):
    """wandb's own records from its transaction logs, oldest first. Its package has the records but no reader in Python;
    the file is in the log format of LevelDB: blocks of 32 KiB of chunks (crc32, length, kind) after a header of 7 bytes.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    records = []
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        data, at, held = path.read_bytes(), 7, b""
        while at + 7 <= len(data):
            if (left := 32768 - at % 32768) < 7:
                at += left
                continue
            _, length, kind = struct.unpack_from("<IHB", data, at)
            held += data[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):  # whole, or the last chunk of a record
                records.append(Record.FromString(held))
                held = b""
    return records
