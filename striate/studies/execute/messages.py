"""The messages between the local scheduler and its workers: each is a record, and this is their form as JSON.

An event crosses without its task, which the scheduler knows.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from striate.core import errors
from striate.core.errors import StriateError
from striate.data import DataConfig
from striate.engines.precision import PrecisionChoice, PrecisionQuestion
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.studies.execute.protocol import Event, Failed, Finished, Note, Progress, Started, Stopped, Task


@dataclass(frozen=True)
class Check:
    """Asks whether the recipe's engine has what the recipe and the network need, and which device it would use."""

    recipe: Recipe
    network: NetworkConfig
    device: str


@dataclass(frozen=True)
class Accepted:
    """The answer to Check: the kind of device (cpu, cuda, mps)."""

    device: str


@dataclass(frozen=True)
class Refused:
    """The answer that is an error of the user's: the class and the text of the error."""

    error: str
    text: str

    def exception(self) -> StriateError:
        """The error again."""
        exception: StriateError = getattr(errors, self.error)(self.text)
        return exception


@dataclass(frozen=True)
class TimeSteps:
    """Asks how fast such runs are, with the images of `data`; `seconds`: how long to time their steps."""

    data: DataConfig
    recipe: Recipe
    network: NetworkConfig
    device: str
    threads: int
    seconds: float
    precision: PrecisionChoice | None = None


@dataclass(frozen=True)
class Timed:
    """The answer to TimeSteps, as `engines.select.Speeds` has it."""

    train: float
    evaluate: float
    start_seconds: float


@dataclass(frozen=True)
class Train:
    """Asks for a run; answered by events, the last of which ends the task."""

    task: Task
    device: str
    threads: int | None
    at_once: int


@dataclass(frozen=True)
class Stop:
    """Asks to save and end."""


Request = Check | PrecisionQuestion | TimeSteps | Train | Stop
Answer = Accepted | PrecisionChoice | Timed | Refused

_KINDS = (
    Check, PrecisionQuestion, TimeSteps, Train, Stop, Accepted, PrecisionChoice, Timed, Refused,
    Started, Progress, Note, Finished, Failed, Stopped,
)  # fmt: skip
_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in _KINDS}


def encode(message: Request | Answer | Event) -> dict[str, Any]:
    """The message as JSON data."""
    kind = type(message).__name__
    left_out = {"task"} if isinstance(message, Event) else None
    return {"kind": kind, **_ADAPTERS[kind].dump_python(message, mode="json", exclude=left_out)}


def decode_request(data: dict[str, Any]) -> Request:
    request: Request = _decode(data)
    return request


def decode_answer(data: dict[str, Any]) -> Answer:
    answer: Answer = _decode(data)
    return answer


def decode_event(data: dict[str, Any], task: Task) -> Event:
    event: Event = _decode({**data, "task": task})
    return event


def _decode(data: dict[str, Any]) -> Any:
    return _ADAPTERS[data["kind"]].validate_python({key: value for key, value in data.items() if key != "kind"})
