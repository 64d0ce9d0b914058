"""What a study has of a cluster: nodes, the needs of a run, and what was put into the object store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from striate.core.errors import StudyError
from striate.data import Dataset, load
from striate.runs.files import disk_errors
from striate.studies.execute.on_ray import images
from striate.studies.execute.on_ray.cluster import Node
from striate.studies.execute.on_ray.options import RayOptions
from striate.studies.execute.protocol import Task


@dataclass
class Allocation:
    """`nodes` can train runs that need `cpus` and `gpus`; `ray` is the module, connected."""

    ray: Any
    options: RayOptions
    jobs: int | None
    device: str
    nodes: Sequence[Node] = ()
    cpus: float = 0.0
    gpus: float = 0.0
    datasets: dict[str, Dataset] = field(default_factory=dict)  # by `images.key`
    stored: dict[str, Any] = field(default_factory=dict)  # references to images and weights in the object store

    def room(self, nodes: Sequence[Node] | None = None) -> int:
        """How many runs the nodes take at the same time."""
        return sum(node.slots(self.cpus, self.gpus) for node in (self.nodes if nodes is None else nodes))

    def most_on_a_node(self, nodes: Sequence[Node]) -> int:
        """How many runs share a machine, at most."""
        return max([1, *(node.slots(self.cpus, self.gpus) for node in nodes)])

    def needs(self) -> str:
        """What a run needs, in words."""
        cpus = f"{self.cpus:g} CPU{'s' * (self.cpus != 1)}"
        return f"{cpus} and {self.gpus:g} GPU{'s' * (self.gpus != 1)}" if self.gpus else cpus

    def remote(self, function: Any) -> Any:
        """`function` as a Ray task with the needs of a run. With a GPU its process is not used again, which is Ray's rule."""
        return self.ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0)(function)

    def images(self, task: Task) -> Any:
        """A reference to the task's images, which are put into the object store at the first call.

        Raises:
            StriateError: for images that cannot be read, or that the object store has no room for.
        """
        key = images.key(task.job.data)
        if key not in self.stored:
            if key not in self.datasets:
                self.datasets[key] = load(task.job.data)
            self.stored[key] = self._put(images.pack(self.datasets[key]), f"the images of {self.datasets[key].name}")
        return self.stored[key]

    def weights(self, task: Task) -> Any:
        """A reference to the file of weights that the run starts from; None: it starts from random ones."""
        path = task.job.network.pretrained
        if not isinstance(path, str):
            return None
        if task.job.weights not in self.stored:
            with disk_errors(Path(path)):
                content = Path(path).expanduser().read_bytes()
            self.stored[task.job.weights] = self._put(content, f"the weights in {path}")
        return self.stored[task.job.weights]

    def _put(self, value: Any, what: str) -> Any:
        try:
            return self.ray.put(value)
        except (self.ray.exceptions.ObjectStoreFullError, self.ray.exceptions.OutOfDiskError) as error:
            raise StudyError(
                f"--on ray: the object store has no room for {what}; start Ray with a larger --object-store-memory"
            ) from error
