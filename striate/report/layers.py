"""The layer tables of a study's networks: what each arm is made of, folded away in section 2."""

from collections.abc import Iterator

from striate.core.errors import StriateError
from striate.core.records import fingerprint
from striate.nets import NetworkConfig
from striate.nets.summary.columns import COLUMNS, totals_in_words
from striate.nets.summary.summarize import summarize
from striate.report.wording import Table, listed
from striate.studies.results import Results

# A page has room for so many; a grid of networks would fill it with rows that nobody reads.
MOST = 4


def layer_tables(results: Results) -> tuple[tuple[str, Table], ...]:
    """(whose, table) for each different network, up to MOST; empty while no run has recorded its images.

    A network that somebody else built is counted by running it, which takes torch; one that is not here is left out.
    """
    return tuple(_tables(results))[:MOST]


def _tables(results: Results) -> Iterator[tuple[str, Table]]:
    arms: dict[str, list[str]] = {}
    first: dict[str, tuple[NetworkConfig, tuple[int, ...], int]] = {}
    for arm in results.arms:
        data = next((row.data for row in results.of(arm.name) if row.data), None)
        if data is None or data.shape is None:
            continue
        shape, classes = data.shape, len(data.classes)
        key = fingerprint(arm.network, shape, classes)
        arms.setdefault(key, []).append(arm.name)
        first[key] = (arm.network, shape, classes)
    for key, names in arms.items():
        try:
            found = summarize(*first[key]).table
        except (StriateError, ImportError):
            continue
        rows = tuple(tuple(column.cell(row) for column in COLUMNS) for row in found.rows)
        totals = "; ".join(f"{name} {text}" for name, text in totals_in_words(found))
        yield listed(names), Table(head=tuple(column.heading for column in COLUMNS), rows=rows, note=totals)
