"""How the whole suite runs: one thread a process, as many processes as cores, the same examples every time."""

import os

# Before NumPy and torch are imported, and inherited by every process that a test starts: several test processes share
# the cores, and threads that wait for each other's cores cost more than they give.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
# A process with more threads than free cores sleeps at its barriers instead of spinning.
os.environ["OMP_WAIT_POLICY"] = "passive"

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from striate.engines.precision import Bf16Check

# No deadline: how long an example takes says more about the machine than about the code. `make slow` explores.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("repeat")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests decode and measure is not the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("STRIATE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_stopwatch() -> Iterator[None]:
    """In this process bf16 is used wherever there are units for it: no test depends on what is faster here.

    Worker processes do measure, so studies that are trained there and compared state their precision.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("striate.engines.precision.checked", lambda asked, measure: Bf16Check(speedup=2.0))
        yield


# So that a broken promise says what was expected.
pytest.register_assert_rewrite("tests.contracts")


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """How many processes `-n logical` takes: none but this one for named files; for the whole suite one a core."""
    asked = {Path(argument).absolute() for argument in config.args}
    return None if Path(__file__).parent in asked else 0
