"""Which seeds and looks were planned, which were taken, and how the runs ended."""

from collections.abc import Sequence

from striate.report.wording import NONE, Table, count, listed, pair
from striate.studies.design import StudyDesign
from striate.studies.results import Results
from striate.verdicts import Verdict
from striate.verdicts.wording import seed_list

_STATES = ("trained", "diverged", "at chance", "failed", "unfinished", "missing")


def looks(results: Results) -> Table | None:
    """A row for each planned comparison; None without any."""
    return looks_of(results.verdicts)


def looks_of(verdicts: Sequence[Verdict]) -> Table | None:
    rows = tuple(_looks(verdict) for verdict in verdicts)
    head = ("comparison", "planned looks (seeds)", "taken", "pairs in the verdict", "pairs beyond the plan", "left out")
    return Table(head=head, rows=rows) if rows else None


def looks_taken(results: Results) -> Table | None:
    """The looks as they were written down: the day, the seeds, and what was judged; None before the first."""
    rows = tuple(
        (look.date, str(look.seeds), listed(map(_typeset, look.comparisons))) for look in results.study.looks_taken
    )
    return Table(head=("day", "seeds", "judged with so many for the first time"), rows=rows) if rows else None


def design(results: Results) -> tuple[tuple[str, str], ...]:
    """When the design was fixed, its hash, and what was changed since; empty before the first result."""
    made, study = results.study.design, results.study
    if made is None:
        return ()
    planned = listed(map(_typeset, made.comparisons)) if made.comparisons else "no comparison"
    edited = (
        "" if made.is_as_written else ". The design was edited: it does not have the hash that it was written with."
    )
    added = [f"{_typeset(name)} ({metric})" for metric, names in made.added.items() for name in names]
    return (
        ("Design fixed", f"{made.date}, when the first run had ended: {planned}; {made.metric}; {_seeds(made)}."),
        ("Hash of the design", f"{made.hash}{edited}"),
        ("Changed since", f"{'; '.join(study.replanned)}." if study.replanned else "Nothing."),
        *((("Comparisons added", f"{listed(added)}. They count among all that were ever planned."),) if added else ()),
    )


def _seeds(made: StudyDesign) -> str:
    looks = f", looks at {listed(map(str, made.looks))}" if made.looks else ""
    return f"{count(len(made.seeds), 'seed')}{looks}"


def _typeset(comparison: str) -> str:
    """`a - b` of a study file as in print."""
    return pair(*comparison.split(" - ", 1))


def outcomes(results: Results) -> Table:
    """How many runs of each arm ended in which way; only the columns that some arm needs."""
    counts = {}
    for arm in results.arms:
        words = ["trained" if row.trained else row.failure or row.state for row in results.of(arm.name)]
        counts[arm.name] = {state: words.count(state) for state in _STATES}
    shown = [state for state in _STATES if state == "trained" or any(of_arm[state] for of_arm in counts.values())]
    rows = tuple(
        (arm, str(len(results.of(arm))), *(str(of_arm[state]) for state in shown)) for arm, of_arm in counts.items()
    )
    return Table(head=("arm", "runs", *shown), rows=rows)


def notes(results: Results) -> tuple[str, ...]:
    """What the looks mean for the intervals."""
    lines, verdicts = [], results.verdicts
    if verdicts:
        lines.append(_level(verdicts))
    if any(verdict.beyond_plan for verdict in verdicts):
        lines.append(
            "Pairs beyond the plan are judged by a confidence sequence. It holds at every number of seeds, so it is wider."
        )
    return tuple(lines)


def _looks(verdict: Verdict) -> tuple[str, ...]:
    left_out = [f"{seed_list(seeds)} of {arm}" for arm, seeds in verdict.left_out.items()]
    return (
        pair(verdict.first, verdict.second),
        ", ".join(map(str, verdict.planned_looks)) or NONE,
        ", ".join(map(str, verdict.looks)) or "none",
        str(len(verdict.differences)),
        str(verdict.beyond_plan) if verdict.beyond_plan else NONE,
        listed(left_out) if left_out else NONE,
    )


def _level(verdicts: tuple[Verdict, ...]) -> str:
    together = max(verdict.comparisons for verdict in verdicts)
    several = max(len(verdict.planned_looks) for verdict in verdicts)
    over = f"{count(together, 'planned comparison')}" if together > 1 else "the planned comparison"
    looks = f" at all {several} looks" if several > 1 else ""
    return (
        f"The confidence intervals of {over} hold together with 95 %{looks}, so that whatever the page says, and whenever, any "
        "of it is wrong in at most 5 % of studies."
    )
