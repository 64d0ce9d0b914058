"""Where Ray is, and what a run needs there."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from striate.core.errors import StudyError

PREFIX = "ray://"
Storage = Literal["auto", "shared", "copied"]
# More than any machine has: a typing error is refused, and nothing overflows.
MOST_OF_RUN = 1024


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Which cluster, and what each run gets of it.

    `address` empty: that in RAY_ADDRESS, else a Ray of this machine alone, which is started for the study and ended with it.
    """

    address: str = ""
    cpus_per_run: float = 1.0
    gpus_per_run: float | None = None
    """None: one, where the cluster has GPUs and the runs may use them."""
    storage: Storage = "auto"
    """How results reach their folder: written there by the nodes (shared), or sent at each save (copied). auto: shared if all see it."""

    def __post_init__(self) -> None:
        _check("--cpus-per-run", self.cpus_per_run, "above 0", self.cpus_per_run > 0)
        if self.gpus_per_run is not None:
            _check("--gpus-per-run", self.gpus_per_run, "from 0", self.gpus_per_run >= 0)
            if self.gpus_per_run > 1 and self.gpus_per_run % 1:
                rule = "must be a whole number above 1, because a run cannot have parts of several GPUs"
                raise StudyError(f"--gpus-per-run: {rule}, got {self.gpus_per_run:g}")
        if self.storage not in get_args(Storage):
            raise StudyError(f"--storage: must be one of {', '.join(get_args(Storage))}, got '{self.storage:.40}'")

    @property
    def threads(self) -> int:
        """Of each run."""
        return max(1, int(self.cpus_per_run))


def ray_options(
    on: str, cpus_per_run: float | None = None, gpus_per_run: float | None = None, storage: str | None = None
) -> RayOptions | None:
    """What the options of a command mean; None: the runs are trained by processes of this machine, without Ray.

    Raises:
        StudyError: for a place that is none, or options that only Ray has.
    """
    given = {"--cpus-per-run": cpus_per_run, "--gpus-per-run": gpus_per_run, "--storage": storage}
    if on == "here":
        for name, value in given.items():
            if value is not None:
                raise StudyError(f"{name}: is for --on ray, got it without; leave it out, or add --on ray")
        return None
    if on != "ray" and not on.startswith(PREFIX):
        raise StudyError(f"--on: must be here, ray or ray://HOST:PORT, got '{on:.60}'")
    address = "" if on == "ray" else on
    if address:
        host_and_port(address)
    return RayOptions(
        address=address,
        cpus_per_run=1.0 if cpus_per_run is None else cpus_per_run,
        gpus_per_run=gpus_per_run,
        storage=storage or "auto",  # type: ignore[arg-type]  # the record checks it
    )


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of HOST:PORT, with or without ray:// before it.

    Raises:
        StudyError: for another form.
    """
    host, _, port = address.removeprefix(PREFIX).rpartition(":")
    is_number = port.isascii() and port.isdecimal() and len(port) < 6
    if not host or not is_number or not 0 < int(port) < 2**16:
        raise StudyError(f"--on: the address of a Ray cluster must be ray://HOST:PORT, got '{address:.60}'")
    return host.strip("[]"), int(port)


def _check(option: str, value: float, rule: str, is_kept: bool) -> None:
    if not is_kept or not math.isfinite(value) or value > MOST_OF_RUN:
        raise StudyError(f"{option}: must be a number {rule} to {MOST_OF_RUN}, got {value:g}")
