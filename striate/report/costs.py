"""Accuracy against training time and parameters, as numbers."""

from dataclasses import dataclass, replace
from statistics import fmean, median

from striate.report.figures import arm_accuracy
from striate.report.wording import NONE, Table, abbreviated, count, duration, listed, percent, plain, whole
from striate.studies.results import Results


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmCost:
    """An arm's means over the runs that trained."""

    arm: str
    index: int  # in the study: decides color and marker
    accuracy: float  # percent
    low: float | None  # its 95 % confidence interval
    high: float | None
    seconds: float
    parameters: float
    macs: int | None  # of one image
    speed: float | None  # training images a second
    is_efficient: bool = False  # no other arm is at least as accurate in at most the same time


@dataclass(frozen=True, kw_only=True, slots=True)
class CostFigure:
    title: str
    caption: str
    arms: tuple[ArmCost, ...]
    table: Table

    @property
    def is_in_size_too(self) -> bool:
        """Whether the arms differ in their parameters by so much that one would see it."""
        sizes = [arm.parameters for arm in self.arms]
        return max(sizes) > 1.05 * min(sizes)


def cost(results: Results) -> CostFigure | None:
    """None while no run has trained."""
    found = [known for index, arm in enumerate(results.arms) if (known := _cost(results, arm.name, index))]
    if not found:
        return None
    arms = tuple(_with_efficiency(arm, found) for arm in found)
    return CostFigure(title=_title(arms), caption=_caption(results), arms=arms, table=_table(arms))


def _cost(results: Results, name: str, index: int) -> ArmCost | None:
    rows = [row for row in results.of(name) if row.trained and row.summary and row.run]
    accuracy = arm_accuracy(results, name)
    if not rows or accuracy.mean is None:
        return None
    summaries = [row.summary for row in rows if row.summary]
    runs = [row.run for row in rows if row.run]
    speeds = [epoch.images_per_second for run in runs for epoch in run.metrics if epoch.images_per_second]
    network = runs[0].network
    return ArmCost(
        arm=name,
        index=index,
        accuracy=accuracy.mean,
        low=accuracy.interval.low if accuracy.interval else None,
        high=accuracy.interval.high if accuracy.interval else None,
        seconds=fmean(summary.seconds for summary in summaries),
        parameters=fmean(summary.parameters for summary in summaries),
        macs=network.totals.macs if network and not network.uncounted else None,
        speed=median(speeds) if speeds else None,
    )


def _with_efficiency(arm: ArmCost, arms: list[ArmCost]) -> ArmCost:
    beaten = any(
        other.accuracy >= arm.accuracy and other.seconds <= arm.seconds and other is not arm
        and (other.accuracy, -other.seconds) != (arm.accuracy, -arm.seconds)
        for other in arms
    )  # fmt: skip
    return replace(arm, is_efficient=not beaten)


def _title(arms: tuple[ArmCost, ...]) -> str:
    best = max(arms, key=lambda arm: arm.accuracy)
    fastest = min(arms, key=lambda arm: arm.seconds)
    if len(arms) == 1:
        return f"A run takes {duration(best.seconds)} and reaches {percent(best.accuracy)}"
    if best is fastest:
        return f"{abbreviated(best.arm)} has the best mean accuracy and the shortest training ({duration(best.seconds)} a run)"
    ratio = best.seconds / fastest.seconds if fastest.seconds else 1.0
    gain = f"{plain(best.accuracy - fastest.accuracy)} points more than {abbreviated(fastest.arm)}, the fastest"
    if ratio < 1.05:
        return f"{abbreviated(best.arm)} has {gain}, in about the same training time"
    return f"{abbreviated(best.arm)} has {gain}, in {plain(ratio)} times its training time"


def _caption(results: Results) -> str:
    machines = {
        row.run.environment.device_name or row.run.environment.device
        for row in results.rows
        if row.run and row.run.environment
    }
    at_once = {row.run.environment.runs_at_once or 1 for row in results.rows if row.run and row.run.environment}
    sentences = [
        "Means over the runs that trained, in seconds of training and evaluation. Bar: 95 % confidence interval of the accuracy.",
        f"Measured on {listed(sorted(machines))}." if machines else "The machine is not recorded.",
    ]
    if len(machines) > 1:
        sentences.append("Times on different machines cannot be compared.")
    if max(at_once, default=1) > 1:
        sentences.append(f"Up to {count(max(at_once), 'run')} shared the machine, so a run alone would take less.")
    return " ".join(sentences)


def _table(arms: tuple[ArmCost, ...]) -> Table:
    rows = tuple(
        (
            arm.arm,
            percent(arm.accuracy),
            duration(arm.seconds),
            whole(arm.speed),
            whole(arm.parameters),
            whole(arm.macs),
            "yes" if arm.is_efficient else NONE,
        )
        for arm in arms
    )
    head = (
        "arm",
        "mean test accuracy",
        "time of a run",
        "images/s",
        "parameters",
        "multiply-adds an image",
        "efficient",
    )
    return Table(head=head, rows=rows, note="Efficient: no other arm is as accurate in as little time.")
