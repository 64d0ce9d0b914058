"""MLflow: a run in the experiment of the study.

`MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` are honored; without the first, a database in the study's folder
(`mlflow ui --backend-store-uri sqlite:///runs/STUDY/mlflow.db` shows it). Its usage reports are off unless asked for.
"""

import os
import time
from typing import Any, ClassVar

import filelock

from striate.core.optional import require
from striate.runs import layout
from striate.tracking.protocol import RunInfo, flat, numbers

LONGEST_PARAMETER = 6000  # mlflow.utils.validation.MAX_PARAM_VAL_LENGTH


class Mlflow:
    """One MLflow run, taken up again under the same id when the run is."""

    package: ClassVar[str] = "mlflow"

    def start(self, info: RunInfo) -> str:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        require("mlflow", extra="mlflow", why="Logging to MLflow")
        from mlflow import MlflowClient

        # Runs of a study begin at once: one of them makes the database, the others wait for it.
        with filelock.FileLock(info.home_path / layout.MLFLOW_LOCK):
            self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or _database(info))
            self._run = info.token or self._create(info)
        self._client.update_run(self._run, status="RUNNING")
        # The store itself knows best what it holds; a kill between it and our ledger must not log an epoch twice.
        held = self._client.get_metric_history(self._run, "epoch") if info.token else []
        self._last = max((metric.step for metric in held), default=0)
        return self._run

    def row(self, row: dict[str, Any]) -> None:
        if row["epoch"] > self._last:
            self._log(row["epoch"], {**numbers(row), "epoch": row["epoch"]})

    def finish(self, summary: dict[str, Any] | None) -> None:
        if summary is None:
            self._client.set_terminated(self._run, "KILLED")
            return
        self._log(summary["epochs"], {f"result.{key}": value for key, value in numbers(summary).items()})
        self._client.set_tag(self._run, "state", summary["state"])
        self._client.set_terminated(self._run, "FAILED" if summary["state"] == "failed" else "FINISHED")

    def _create(self, info: RunInfo) -> str:
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or info.study
        there = self._client.get_experiment_by_name(name)
        is_ours = not os.environ.get("MLFLOW_TRACKING_URI")
        files = (info.home_path / layout.MLFLOW_FILES).as_uri() if is_ours else None
        experiment = there.experiment_id if there else self._client.create_experiment(name, artifact_location=files)
        tags = {"arm": info.arm, "seed": str(info.seed), "fingerprint": info.fingerprint}
        made = str(self._client.create_run(experiment, tags=tags, run_name=info.name).info.run_id)
        settings = {**flat(info.config), "arm": info.arm, "seed": info.seed}
        found = [Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in settings.items() if value is not None]
        for start in range(0, len(found), 100):  # as many as one call takes
            self._client.log_batch(made, params=found[start : start + 100])
        return made

    def _log(self, step: int, values: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._run, metrics=[Metric(key, value, now, step) for key, value in values.items()])


def _database(info: RunInfo) -> str:
    return f"sqlite:///{info.home_path / layout.MLFLOW}"
