"""What the numbers of a run are computed with, as far as it does not depend on the engine."""

import platform
import subprocess
from typing import Any

import numpy as np

from striate.core import __version__


def common_facts() -> dict[str, Any]:
    """Fields of a RunEnvironment: versions, platform, commit of the study. No user name, host name or path."""
    return {
        "striate": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        **_commit(),
    }


def cpu_name() -> str:
    """The manufacturer's name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> dict[str, str]:
    """The commit of the repository that the study was started in, if it was in one."""
    try:
        git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {"study_commit": git.stdout.strip()} if git.returncode == 0 else {}
