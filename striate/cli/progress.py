"""Progress while a study runs, on stderr: bars on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from striate.cli.output import count, out
from striate.core.records import printable
from striate.engines import inputs
from striate.studies.execute.protocol import Ended, Event, Failed, Note, Progress, Started, Stopped
from striate.studies.plan import Plan


class ProgressDisplay(Protocol):
    """Shows one study while it runs."""

    def on_plan(self, plan: Plan) -> None: ...

    def on_event(self, event: Event) -> None: ...

    def note(self, text: str) -> None:
        """Show a line."""
        ...


@contextmanager
def progress_display() -> Iterator[ProgressDisplay]:
    """Bars if stderr is a terminal, lines if it is not."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with _Bars() as bars:
        yield bars


def ending(event: Ended) -> str:
    """How a run ended, in a line. Test accuracy is left out: it belongs to the verdict."""
    label = event.task.label
    if isinstance(event, Failed):
        return f"{label}: failed: {event.reason}"
    if isinstance(event, Stopped):
        return f"{label}: stopped and saved"
    summary = event.summary
    if summary.state == "diverged":
        return f"{label}: diverged: {summary.reason}"
    text = f"{label}: finished in {summary.seconds:.0f} s"
    if summary.stopped and not summary.stopped.startswith("all "):
        text += f" ({summary.stopped})"
    if summary.validation_accuracy is not None:
        text += f", validation {100 * summary.validation_accuracy:.1f} % (epoch {summary.best_epoch})"
    return f"{text}; {summary.reason or 'stayed at chance'}" if summary.at_chance else text


class _Lines:
    """A line when a run starts, after each epoch, and when it ends."""

    def __init__(self) -> None:
        self._last: dict[str, inputs.Progress] = {}  # of each run, by label
        self._notes: set[str] = set()

    def on_plan(self, plan: Plan) -> None:
        missing = len(plan.missing)
        runs = count(len(plan.due), "run")
        self._print(f"{plan.study.name}: {runs}, {len(plan.due) - missing} done, {missing} to train")
        for note in plan.notes:
            if note not in self._notes:  # a plan with looks comes again before each
                self._notes.add(note)
                self._print(f"note: {note}")

    def on_event(self, event: Event) -> None:
        label = event.task.label
        if isinstance(event, Ended):
            self._print(ending(event))
        elif isinstance(event, Started):
            self._print(f"{label}: started")
        elif isinstance(event, Note):
            if event.text not in self._notes:  # each run has it in its log
                self._notes.add(event.text)
                self._print(f"{label}: {event.text}")
        elif isinstance(event, Progress):
            self._on_progress(label, event.progress)

    def _on_progress(self, label: str, progress: inputs.Progress) -> None:
        last = self._last.get(label)
        if last and last.epoch < progress.epoch:
            # The loss is that of the epoch that ended, the accuracy was measured at its end.
            epoch = replace(last, validation_accuracy=progress.validation_accuracy)
            self._print(f"{label}: epoch {last.epoch}/{last.epochs} done, {_numbers(epoch)}")
        self._last[label] = progress

    def note(self, text: str) -> None:
        self._print(text)

    def _print(self, line: str) -> None:
        out(line, error=True)
        sys.stderr.flush()


class _Bars:
    """A bar for the study and one for each run in training."""

    def __init__(self) -> None:
        self._progress = rich_progress.Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20, complete_style="cyan", finished_style="cyan"),
            TimeRemainingColumn(compact=True),
            _Facts(table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=Console(stderr=True, highlight=False),
        )
        self._bars: dict[str, TaskID] = {}
        self._shares: dict[str, float] = {}  # of each run's training that is done, by label
        self._notes: set[str] = set()
        self._done = self._total = 0
        self._study = TaskID(0)

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def on_plan(self, plan: Plan) -> None:
        for note in plan.notes:
            if note not in self._notes:
                self._notes.add(note)
                self._print(f"note: {note}")
        if not plan.missing:
            return
        is_first = not self._total
        self._total = self._done + len(plan.missing)
        if is_first:
            self._study = self._progress.add_task(printable(plan.study.name, keep=""), total=self._total, facts="")
        else:  # the next look
            self._progress.update(self._study, total=self._total)

    def on_event(self, event: Event) -> None:
        label = event.task.label
        if isinstance(event, Started):
            self._bars[label] = self._progress.add_task(f"  {printable(label, keep='')}", total=1.0, facts="starting")
        elif isinstance(event, Progress):
            now = event.progress
            facts = f"epoch {now.epoch}/{now.epochs}  {_numbers(now)}"
            # Drawn now: a short run may end before the next regular drawing.
            self._progress.update(self._bars[label], completed=now.share, facts=facts, refresh=True)
            self._shares[label] = now.share
        elif isinstance(event, Note):
            if event.text not in self._notes:
                self._notes.add(event.text)
                self._print(f"  {label}: {event.text}")
        elif isinstance(event, Ended):
            self._progress.remove_task(self._bars.pop(label))
            self._shares[label] = 1.0
            self._done += 1
            self._print(f"  {ending(event)}")
        facts = f"{self._done} of {count(self._total, 'run')} done"
        self._progress.update(self._study, completed=sum(self._shares.values()), facts=facts)

    def note(self, text: str) -> None:
        self._print(text)

    def _print(self, line: str) -> None:
        self._progress.console.print(Text(printable(line, keep="")))


class _Facts(ProgressColumn):
    """The numbers beside a bar."""

    def render(self, task: rich_progress.Task) -> Text:
        return Text(str(task.fields.get("facts", "")))


def _numbers(now: inputs.Progress) -> str:
    loss = "" if now.loss is None else f"loss {now.loss:.3f}  "
    accuracy = "" if now.validation_accuracy is None else f"validation {100 * now.validation_accuracy:.1f} %  "
    return f"{loss}{accuracy}{now.images_per_second:,.0f} images/s"
