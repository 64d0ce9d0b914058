"""The row of checks: what often makes a result worth less than it looks, each with a stable code.

A check passes, warns with one sentence, or is not applicable and says why. A warning changes no verdict. `docs/checks.md`
has a section for each code.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from striate.data import is_shared_note
from striate.report.metric_words import metric_words
from striate.report.wording import abbreviated, count, listed, pair, percent, plain, shortened
from striate.runs import Run
from striate.studies.results import Results
from striate.studies.rows import RunRow
from striate.verdicts import Verdict
from striate.verdicts.wording import rough

Status = Literal["passes", "warns", "not applicable"]
GLYPHS: dict[Status, str] = {"passes": "\N{CHECK MARK}", "warns": "!", "not applicable": "\N{EN DASH}"}

MOST_GAP = 10.0  # points of accuracy that training may be above validation
MOST_DEAD = 0.1  # of the channels of a network
MOST_RATIO = 1.25  # of epochs and of parameters of two arms that are compared
FEWEST_PAIRS = 5  # from which a correlation is judged
ANNEALED = 0.1  # of the largest learning rate: where it ends lower, the last epochs are the best by design


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check of a study."""

    code: str
    title: str
    status: Status
    sentence: str

    @property
    def glyph(self) -> str:
        return GLYPHS[self.status]


Outcome = tuple[Status, str]
Judge = Callable[[Results], Outcome]


def checks(results: Results) -> tuple[Check, ...]:
    """Every check, in the order of the codes."""
    outcomes = [(code, title, judge(results)) for code, (title, judge) in CHECKS.items()]
    return tuple(
        Check(code=code, title=title, status=status, sentence=shortened(sentence))
        for code, title, (status, sentence) in outcomes
    )


def in_words(made: tuple[Check, ...]) -> str:
    """10 checks: 7 pass, 1 warns and 2 are not applicable."""
    words = {
        "passes": ("passes", "pass"),
        "warns": ("warns", "warn"),
        "not applicable": ("is not applicable", "are not applicable"),
    }
    counts = {status: sum(check.status == status for check in made) for status in words}
    parts = [f"{n} {words[status][n > 1]}" for status, n in counts.items() if n]
    return f"{count(len(made), 'check')}: {listed(parts)}."


def _chance(results: Results) -> Outcome:
    finished = [row for row in results.rows if row.state == "finished"]
    if not finished:
        return "not applicable", "No run has finished."
    if stuck := _runs([row for row in finished if row.is_at_chance], finished, "finished run"):
        return "warns", f"{stuck[0]} learned nothing: {stuck[1]}."
    return "passes", f"{_all_of(len(finished), 'finished run')} tell the classes apart better than a guess."


def _divergence(results: Results) -> Outcome:
    ended = [row for row in results.rows if row.state in {"finished", "diverged"}]
    if not ended:
        return "not applicable", "No run has ended."
    if diverged := _runs([row for row in ended if row.state == "diverged"], ended, "run"):
        return "warns", f"{diverged[0]} diverged: {diverged[1]}."
    return "passes", f"None of {count(len(ended), 'run')} diverged."


def _last_epoch(results: Results) -> Outcome:
    late, judged, annealed = [], 0, 0
    for arm, runs in _trained(results):
        several = [run for run in runs if len(run.metrics) > 1]
        kept = [run for run in several if not _is_annealed(run)]
        annealed += len(kept) < len(several)
        judged += bool(kept)
        last = sum(run.summary is not None and run.summary.best_epoch == run.metrics[-1].epoch for run in kept)
        if 2 * last > len(kept):
            late.append(f"{last} of {count(len(kept), 'run')} of {abbreviated(arm)}")
    if late:
        return "warns", f"The best epoch is the last in {_some(late)}: longer training may give more."
    if judged:
        return "passes", "In no arm, the best epoch is the last one in more than half of the runs."
    if annealed:
        return "not applicable", "The learning rate falls towards the end, so the last epochs are the best by design."
    return "not applicable", "No run has trained for several epochs."


def _gap(results: Results) -> Outcome:
    gaps = {}
    for arm, runs in _trained(results):
        pairs = [found for run in runs if (found := _accuracies(run))]
        if pairs:
            gaps[arm] = (fmean(training for training, _ in pairs), fmean(validation for _, validation in pairs))
    if not gaps:
        return "not applicable", "No run has recorded training and validation accuracy."
    arm, (training, validation) = max(gaps.items(), key=lambda item: item[1][0] - item[1][1])
    numbers = f"{percent(training)} and {percent(validation)} at the best epoch"
    if training - validation > MOST_GAP:
        wide = sum(a - b > MOST_GAP for a, b in gaps.values())
        others = f", and in {count(wide - 1, 'other arm')} too" if wide > 1 else ""
        rule = f"Training accuracy is {plain(training - validation)} points above validation accuracy in {abbreviated(arm)}"
        return "warns", f"{rule} ({numbers}){others}: the networks memorize."
    most = f"The largest gap is {plain(max(training - validation, 0.0))} points, in {abbreviated(arm)}"
    return "passes", f"{most} ({numbers})."


def _dead_units(results: Results) -> Outcome:
    dead: dict[str, float] = {}
    counts: dict[str, str] = {}
    for arm, runs in _trained(results):
        known = [run for run in runs if run.metrics and run.metrics[-1].dead_units is not None and _channels(run)]
        if known:
            mean = fmean(run.metrics[-1].dead_units or 0 for run in known)
            channels = _channels(known[0])
            dead[arm], counts[arm] = mean / channels, f"{plain(mean)} of {channels} channels of {abbreviated(arm)}"
    if not dead:
        return (
            "not applicable",
            "No run has recorded dead units: the networks have none that can die, or the engine counts none.",
        )
    worst = max(dead, key=lambda arm: dead[arm])
    if dead[worst] > MOST_DEAD:
        return "warns", f"{counts[worst]} are 0 on every image of a sample after the last epoch: they no longer learn."
    return "passes", f"At most {counts[worst]} are 0 on every image of a sample."


def _duplicates(results: Results) -> Outcome:
    known = [row.data for row in results.rows if row.data]
    if not known:
        return "not applicable", "No run has recorded its data."
    notes = dict.fromkeys(note for data in known for note in data.notes if is_shared_note(note))
    copies = max(data.validation_copies for data in known)
    if notes:
        return "warns", f"{'; '.join(f'{note[:1].upper()}{note[1:]}' for note in notes)}."
    if copies:
        return "warns", f"Up to {count(copies, 'validation image')} of a run are, pixel by pixel, training images too."
    return "passes", "No image of one part is, pixel by pixel, also in another."


def _spread(results: Results) -> Outcome:
    spreads = {pair(v.first, v.second): v.spread.differences for v in results.verdicts if v.spread}
    if not spreads:
        return "not applicable", _without_spread(results)
    worst = max(spreads, key=lambda name: spreads[name])
    words = metric_words(results)
    number = f"The standard deviation of the differences between seeds is {words.size(spreads[worst], rough(spreads[worst]))}"
    matters = f"the {words.size(results.study.matters, f'{results.study.matters:g}')} that matter"
    if spreads[worst] > results.study.matters:
        return "warns", f"{number} for {abbreviated(worst)}, more than {matters}: few seeds decide little."
    return "passes", f"{number} at most, within {matters}."


def _pairing(results: Results) -> Outcome:
    known = [v for v in results.verdicts if v.spread and v.spread.correlation is not None]
    enough = [v for v in known if len(v.differences) >= FEWEST_PAIRS]
    if not known:
        return "not applicable", _without_spread(results)
    if not enough:
        return "not applicable", f"Fewer than {FEWEST_PAIRS} pairs say too little about their correlation."
    useless = [v for v in enough if _correlation(v) <= 0]
    if useless:
        names = _some(
            [f"{abbreviated(pair(v.first, v.second))} (correlation {plain(_correlation(v), 2)})" for v in useless]
        )
        return "warns", f"Pairing by seed saves nothing for {names}: the seeds do not move both arms alike."
    least = min(map(_correlation, enough))
    return "passes", f"Runs of one seed go up and down together (correlation of at least {plain(least, 2)})."


def _budgets(results: Results) -> Outcome:
    compared = [(c.first, c.second) for c in results.study.comparisons]
    if not compared:
        return "not applicable", "The study plans no comparison."
    sizes = {arm: _budget(runs) for arm, runs in _trained(results)}
    unequal = []
    for first, second in compared:
        if first in sizes and second in sizes:
            a, b = sizes[first], sizes[second]
            texts = [_times(a[key], b[key], key) for key in a if _ratio(a[key], b[key]) > MOST_RATIO]
            unequal += [f"{abbreviated(first)} has {listed(texts)} of {abbreviated(second)}"] if texts else []
    if not any(first in sizes and second in sizes for first, second in compared):
        return "not applicable", "No two arms that are compared have a finished run."
    if unequal:
        return "warns", f"{_some(unequal)}: a difference may come from the budget."
    return "passes", "Arms that are compared have about the same epochs and parameters."


def _watched(results: Results) -> Outcome:
    opened = [row.summary for row in results.rows if row.summary and row.summary.test_images]
    if results.study.watch_test or any(summary.test_watched for summary in opened):
        return "warns", "The test images were evaluated in every epoch: whoever watched may have chosen by them."
    if not opened:
        return "not applicable", "The test images were not used yet."
    return "passes", "The test images were used once in each run, at its end."


CHECKS: dict[str, tuple[str, Judge]] = {
    "ST001": ("at chance", _chance),
    "ST002": ("divergence", _divergence),
    "ST003": ("best epoch is the last", _last_epoch),
    "ST004": ("gap between training and validation", _gap),
    "ST005": ("dead units", _dead_units),
    "ST006": ("duplicates across parts", _duplicates),
    "ST007": ("spread larger than what matters", _spread),
    "ST008": ("pairing useless", _pairing),
    "ST009": ("unequal budgets", _budgets),
    "ST010": ("test images watched", _watched),
}


def _trained(results: Results) -> Iterator[tuple[str, list[Run]]]:
    """Each arm with runs that trained, and those runs."""
    for arm in results.arms:
        if runs := [row.run for row in results.of(arm.name) if row.trained and row.run]:
            yield arm.name, runs


def _is_annealed(run: Run) -> bool:
    rates = [epoch.learning_rate for epoch in run.metrics if epoch.learning_rate is not None]
    return bool(rates) and rates[-1] < ANNEALED * max(rates)


def _accuracies(run: Run) -> tuple[float, float] | None:
    """Training and validation accuracy at the best epoch, in percent; of plain training images where they were evaluated."""
    best = run.summary.best_epoch if run.summary else None
    for epoch in run.metrics:
        training = epoch.train_accuracy if epoch.train_eval_accuracy is None else epoch.train_eval_accuracy
        if epoch.epoch == best and training is not None and epoch.validation_accuracy is not None:
            return 100 * training, 100 * epoch.validation_accuracy
    return None


def _channels(run: Run) -> int:
    """Channels of the layers with weights, without the classifier; 0 where the layers are not known."""
    layers = [row for row in run.network.rows if row.op in {"conv", "fc"}] if run.network else []
    return sum(row.output_shape[0] for row in layers[:-1])


def _budget(runs: list[Run]) -> dict[str, float]:
    summaries = [run.summary for run in runs if run.summary]
    return {
        "epochs": fmean(len(run.metrics) for run in runs),
        "parameters": fmean(summary.parameters for summary in summaries),
    }


def _ratio(a: float, b: float) -> float:
    return max(a, b) / min(a, b) if min(a, b) > 0 else 1.0


def _times(a: float, b: float, what: str) -> str:
    return f"{a / b:.2g} times the {what}"


def _correlation(verdict: Verdict) -> float:
    return (verdict.spread.correlation if verdict.spread else None) or 0.0


def _without_spread(results: Results) -> str:
    if not results.study.comparisons:
        return "The study plans no comparison."
    return "No comparison has enough seeds."


def _runs(part: list[RunRow], whole: list[RunRow], noun: str) -> tuple[str, str] | None:
    """2 of 6 runs, and which; None for none of them."""
    names = [f"{row.arm} (seed {row.seed})" for row in part]
    return (f"{len(part)} of {count(len(whole), noun)}", _some(names)) if part else None


def _all_of(n: int, noun: str) -> str:
    return f"All {count(n, noun)}" if n > 1 else f"The only {noun}"


def _some(texts: list[str], most: int = 3) -> str:
    return listed(texts) if len(texts) <= most else f"{', '.join(texts[:most])} and {len(texts) - most} more"
