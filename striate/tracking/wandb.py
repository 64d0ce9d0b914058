"""Weights & Biases: a run in the project of the study, grouped by arm.

Its own variables decide the rest: `WANDB_MODE=offline` writes into the run's folder only (`wandb sync` sends it
later), `WANDB_PROJECT` and `WANDB_ENTITY` say whose it is. It needs to be logged in already: nothing asks for a key.
"""

import os
import secrets
from typing import Any, ClassVar

from striate.core.optional import require
from striate.tracking.protocol import RunInfo


class WeightsAndBiases:
    """One wandb run, taken up again under the same id when the run is."""

    package: ClassVar[str] = "wandb"

    def start(self, info: RunInfo) -> str:
        wandb = require("wandb", extra="wandb", why="Logging to Weights & Biases")
        # The fingerprint alone would be the same in another folder, where the run is trained anew and not gone on with.
        token = info.token or f"{info.fingerprint}-{secrets.token_hex(3)}"
        self._run = wandb.init(
            id=token,
            resume="allow",
            dir=info.folder,
            project=os.environ.get("WANDB_PROJECT") or info.study,
            group=info.arm,
            name=info.name,
            config={**info.config, "arm": info.arm, "seed": info.seed, "fingerprint": info.fingerprint},
            # The output is this process's, which has nothing to show.
            settings=wandb.Settings(console="off", silent=True),
        )
        return token

    def row(self, row: dict[str, Any]) -> None:
        self._run.log({key: value for key, value in row.items() if value is not None}, step=row["epoch"])

    def finish(self, summary: dict[str, Any] | None) -> None:
        if summary is not None:
            kept = {key: value for key, value in summary.items() if value is not None and key != "data"}
            self._run.summary.update(kept)
        self._run.finish(exit_code=1 if summary and summary["state"] == "failed" else 0)
