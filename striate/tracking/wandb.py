"""Weights & Biases: a run in the project of the study, grouped by arm.

Its own variables decide the rest: `WANDB_MODE=offline` writes into the run's folder only (`wandb sync` sends it
later), `WANDB_PROJECT` and `WANDB_ENTITY` say whose it is. Log in to wandb before: nothing asks for a key.
"""

import os
import secrets
from typing import ClassVar

from striate.core.optional import require
from striate.runs.records import EpochRow, Summary
from striate.tracking.protocol import RunInfo


class WeightsAndBiases:
    """One wandb run; a resumed run has the same id."""

    package: ClassVar[str] = "wandb"

    def start(self, info: RunInfo) -> str:
        wandb = require("wandb", extra="wandb", why="Logging to Weights & Biases")
        # Not the fingerprint alone: the same run in another folder is another wandb run.
        token = info.token or f"{info.fingerprint}-{secrets.token_hex(3)}"
        self._run = wandb.init(
            id=token,
            resume="allow",
            dir=info.folder,
            project=os.environ.get("WANDB_PROJECT") or info.study,
            group=info.arm,
            name=info.name,
            config={**info.config, "arm": info.arm, "seed": info.seed, "fingerprint": info.fingerprint},
            # The console is this process's, which has nothing to show.
            settings=wandb.Settings(console="off", silent=True),
        )
        return token

    def row(self, row: EpochRow) -> None:
        self._run.log({key: value for key, value in row.to_json().items() if value is not None}, step=row.epoch)

    def finish(self, summary: Summary | None) -> None:
        if summary is not None:
            results = summary.model_dump(mode="json", exclude={"data"}, exclude_none=True)
            self._run.summary.update(results)
        self._run.finish(exit_code=1 if summary and summary.state == "failed" else 0)
