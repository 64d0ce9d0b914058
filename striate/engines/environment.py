"""What a run's numbers were made with, as far as it does not depend on the engine: for env.json."""

import platform
import subprocess
from importlib.metadata import version
from typing import Any

import numpy as np


def facts() -> dict[str, Any]:
    """Versions, machine, commit of the study. No user name, no host name, no path."""
    found = {
        "striate": version("striate"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }
    commit = _commit()
    return {**found, "study_commit": commit} if commit else found


def cpu_name() -> str:
    """What the processor is called by its maker."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    """The commit of the repository that the study was started in, if it was in one."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
