"""What a run's numbers were made with: for env.json."""

import platform
import subprocess
from typing import Any

import numpy as np
import torch

import striate
from striate.training import device
from striate.training.device import Setup


def describe(setup: Setup) -> dict[str, Any]:
    """Versions, machine and the automatic choices. No user name, no host name, no path."""
    facts = {
        "striate": striate.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": setup.device.type,
        "device_name": device.name(setup.device),
        "precision": setup.precision,
        "threads": setup.threads,
        "channels_last": True,
        "compiled": False,  # slower than eager on a CPU when it was measured: benchmarks/
    }
    commit = _commit()
    return {**facts, "study_commit": commit} if commit else facts


def _commit() -> str:
    """The commit of the repository that the study was started in, if it was in one."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
