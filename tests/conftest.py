"""How the whole suite runs: one thread a process, as many processes as cores, the same examples every time."""

import os

# Before NumPy and torch are imported, and inherited by every process that a test starts: several test processes share
# the cores, and threads that wait for each other's cores cost more than they give.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
# A process with more threads than free cores sleeps at its barriers instead of spinning.
os.environ["OMP_WAIT_POLICY"] = "passive"

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline: how long an example takes says more about the machine than about the code. `make slow` explores.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("repeat")

# So that a broken promise says what was expected.
pytest.register_assert_rewrite("tests.contracts")


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """How many processes `-n logical` takes: none but this one for named files; for the whole suite one a core."""
    asked = {Path(argument).absolute() for argument in config.args}
    return None if Path(__file__).parent in asked else 0
