"""What a run's numbers were made with: for env.json."""

from typing import Any

import torch

from striate.runs.environment import facts
from striate.training import device
from striate.training.device import Setup


def describe(setup: Setup) -> dict[str, Any]:
    """Versions, machine and the automatic choices."""
    return {
        **facts(),
        "engine": "torch",
        "torch": torch.__version__,
        "device": setup.device.type,
        "device_name": device.name(setup.device),
        "precision": setup.precision,
        "threads": setup.threads,
        "channels_last": True,
        "compiled": False,  # slower than eager on a CPU when it was measured: benchmarks/
    }
