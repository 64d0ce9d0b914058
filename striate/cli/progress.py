"""Progress while a study runs: bars on a terminal, plain lines elsewhere. All of it goes to stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from striate.studies.execute.protocol import ENDINGS, Event
from striate.studies.plan import Plan


class Watcher(Protocol):
    """Listens to one study while it runs."""

    def on_plan(self, plan: Plan) -> None: ...

    def on_event(self, event: Event) -> None: ...


@contextmanager
def watching() -> Iterator[Watcher]:
    """The listener that suits where stderr goes."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with _Bars() as bars:
        yield bars


def ended(event: Event) -> str:
    """How a run ended, in a line. The test part stays unmentioned here: it is for the verdict."""
    data = event.data
    if event.kind == "failed":
        return f"{event.task.label}: failed: {data['reason']}"
    if event.kind == "stopped":
        return f"{event.task.label}: stopped and saved"
    if data["state"] == "diverged":
        return f"{event.task.label}: diverged: {data['reason']}"
    found = f"validation {100 * data['validation_accuracy']:.1f} % (epoch {data['best_epoch']})"
    why = f"; {data['reason'] or 'stayed at chance'}" if data["at_chance"] else ""
    early = f" ({data['stopped']})" if data["stopped"] and not data["stopped"].startswith("all ") else ""
    return f"{event.task.label}: finished in {data['seconds']:.0f} s{early}, {found}{why}"


class _Lines:
    """A line when a run starts, after each epoch, and when it ends."""

    def __init__(self) -> None:
        self._last: dict[str, dict[str, Any]] = {}
        self._noted: set[str] = set()

    def on_plan(self, plan: Plan) -> None:
        done = len(plan.runs) - len(plan.missing)
        self._say(f"{plan.study.name}: {len(plan.runs)} runs, {done} done, {len(plan.missing)} to train")

    def on_event(self, event: Event) -> None:
        label, data = event.task.label, event.data
        if event.kind in ENDINGS:
            self._say(ended(event))
        elif event.kind == "started":
            self._say(f"{label}: started")
        elif event.kind == "note":
            if data["text"] not in self._noted:  # each run has it in its log
                self._noted.add(data["text"])
                self._say(f"{label}: {data['text']}")
        else:
            last = self._last.get(label)
            if last and last["epoch"] < data["epoch"]:
                # The loss is that of the epoch that ended, the accuracy was measured at its end.
                done = {**last, "validation_accuracy": data["validation_accuracy"]}
                self._say(f"{label}: epoch {last['epoch']}/{last['epochs']} done, {_numbers(done)}")
            self._last[label] = data

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class _Bars:
    """A bar for the study and one for each run that is at work."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20, complete_style="cyan", finished_style="cyan"),
            TimeRemainingColumn(compact=True),
            _Facts(table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=Console(stderr=True, highlight=False),
        )
        self._bars: dict[str, TaskID] = {}
        self._shares: dict[str, float] = {}
        self._noted: set[str] = set()
        self._done = self._total = 0
        self._study = TaskID(0)

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def on_plan(self, plan: Plan) -> None:
        self._total = len(plan.missing)
        if self._total:
            self._study = self._progress.add_task(plan.study.name, total=self._total, facts="")

    def on_event(self, event: Event) -> None:
        label = event.task.label
        if event.kind == "started":
            self._bars[label] = self._progress.add_task(f"  {label}", total=1.0, facts="starting")
        elif event.kind == "progress":
            facts = f"epoch {event.data['epoch']}/{event.data['epochs']}  {_numbers(event.data)}"
            self._progress.update(self._bars[label], completed=event.data["share"], facts=facts)
            self._shares[label] = event.data["share"]
        elif event.kind == "note":
            if event.data["text"] not in self._noted:
                self._noted.add(event.data["text"])
                self._progress.console.print(Text(f"  {label}: {event.data['text']}"))
        else:
            self._progress.remove_task(self._bars.pop(label))
            self._shares[label] = 1.0
            self._done += 1
            self._progress.console.print(Text(f"  {ended(event)}"))
        self._progress.update(
            self._study,
            completed=sum(self._shares.values()),
            facts=f"{self._done} of {self._total} runs done",
        )


class _Facts(ProgressColumn):
    """The numbers beside a bar."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("facts", "")))


def _numbers(data: dict[str, Any]) -> str:
    loss = "" if data["loss"] is None else f"loss {data['loss']:.3f}  "
    accuracy = "" if data["validation_accuracy"] is None else f"validation {100 * data['validation_accuracy']:.1f} %  "
    return f"{loss}{accuracy}{data['images_per_second']:,.0f} images/s"
