"""MLflow: a run in the experiment of the study.

`MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` are respected; without the first, a database in the study's folder
(`mlflow ui --backend-store-uri sqlite:///runs/STUDY/mlflow.db` shows it). Its usage reports are off unless asked for.
"""

import os
import time
from typing import ClassVar

import filelock

from striate.core.optional import require
from striate.runs import layout
from striate.runs.records import EpochRow, Summary
from striate.tracking.protocol import RunInfo, flat, numbers

LONGEST_PARAMETER = 6000  # mlflow.utils.validation.MAX_PARAM_VAL_LENGTH
PARAMETERS_AT_ONCE = 100  # mlflow.utils.validation.MAX_PARAMS_TAGS_PER_BATCH


class Mlflow:
    """One MLflow run; a resumed run has the same id."""

    package: ClassVar[str] = "mlflow"

    def start(self, info: RunInfo) -> str:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        require("mlflow", extra="mlflow", why="Logging to MLflow")
        from mlflow import MlflowClient

        # Runs of a study start together: one of them makes the database, the others wait for it.
        with filelock.FileLock(info.home_path / layout.MLFLOW_LOCK):
            self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or _database(info))
            self._run = info.token or self._create(info)
        self._client.update_run(self._run, status="RUNNING")
        # The store may be an epoch ahead of our ledger, after a kill between the two.
        logged = self._client.get_metric_history(self._run, "epoch") if info.token else []
        self._last = max((metric.step for metric in logged), default=0)
        return self._run

    def row(self, row: EpochRow) -> None:
        if row.epoch > self._last:
            self._log(row.epoch, {**numbers(row), "epoch": row.epoch})

    def finish(self, summary: Summary | None) -> None:
        if summary is None:
            self._client.set_terminated(self._run, "KILLED")
            return
        self._log(summary.epochs, {f"result.{key}": value for key, value in numbers(summary).items()})
        self._client.set_tag(self._run, "state", summary.state)
        self._client.set_terminated(self._run, "FAILED" if summary.state == "failed" else "FINISHED")

    def _create(self, info: RunInfo) -> str:
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or info.study
        experiment = self._client.get_experiment_by_name(name)
        if experiment:
            experiment_id = experiment.experiment_id
        else:
            is_ours = not os.environ.get("MLFLOW_TRACKING_URI")
            files = (info.home_path / layout.MLFLOW_FILES).as_uri() if is_ours else None
            experiment_id = self._client.create_experiment(name, artifact_location=files)
        tags = {"arm": info.arm, "seed": str(info.seed), "fingerprint": info.fingerprint}
        run = str(self._client.create_run(experiment_id, tags=tags, run_name=info.name).info.run_id)
        settings = {**flat(info.config), "arm": info.arm, "seed": info.seed}
        parameters = [
            Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in settings.items() if value is not None
        ]
        for start in range(0, len(parameters), PARAMETERS_AT_ONCE):
            self._client.log_batch(run, params=parameters[start : start + PARAMETERS_AT_ONCE])
        return run

    def _log(self, step: int, values: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._run, metrics=[Metric(key, value, now, step) for key, value in values.items()])


def _database(info: RunInfo) -> str:
    return f"sqlite:///{info.home_path / layout.MLFLOW}"
