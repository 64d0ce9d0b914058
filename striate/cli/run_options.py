"""Options of `striate run` and `striate check`, with the text of `--help`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from striate.studies.execute.on_ray.options import RayOptions, ray_options

On = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Which machines train: here (this one), ray (the Ray cluster of RAY_ADDRESS, else a Ray of this machine) or ray://HOST:PORT.",
    ),
]
CpusPerRun = Annotated[
    float | None, typer.Option(help="With --on ray: CPUs of each run, which has as many threads; 1 unless given.")
]
GpusPerRun = Annotated[
    float | None,
    typer.Option(help="With --on ray: GPUs of each run, 0.5 for two runs on one; 1 unless given, where there are any."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="With --on ray: shared (all nodes see --out), copied (results travel through Ray), or auto, which finds out."
    ),
]


Layers = Annotated[bool, typer.Option("--layers", help="Also print the layers of each network.")]
Explain = Annotated[bool, typer.Option("--explain", help="Also print the layers and what each of their columns means.")]
Yaml = Annotated[bool, typer.Option("--yaml", help="Print only the study as YAML, with the overrides in it.")]
Time = Annotated[
    bool,
    typer.Option("--time/--no-time", help="Time a few training steps (10 s at most) to estimate the duration."),
]


@dataclass(frozen=True)
class Place:
    """Which machines train, as it was given."""

    on: str = "here"
    cpus_per_run: float | None = None
    gpus_per_run: float | None = None
    storage: str | None = None

    @property
    def ray(self) -> RayOptions | None:
        """None: this machine, without Ray."""
        return ray_options(self.on, self.cpus_per_run, self.gpus_per_run, self.storage)

    def words(self) -> dict[str, object]:
        """The options again, with None for those that were left out."""
        on = None if self.on == "here" else self.on
        numbers = {"--cpus-per-run": self.cpus_per_run, "--gpus-per-run": self.gpus_per_run}
        return {
            "--on": on,
            **{name: value and f"{value:g}" for name, value in numbers.items()},
            "--storage": self.storage,
        }
