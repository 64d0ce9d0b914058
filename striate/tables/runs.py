"""Rows to runs: one value for each arm and seed, or which test images it is right about."""

import hashlib
import math
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from striate.core.errors import TableError
from striate.tables.columns import Columns
from striate.tables.metric import words
from striate.tables.table import Table
from striate.verdicts.wording import count, short_list

At = str  # last, max, min, or a step
Key = tuple[str, int]  # arm and seed

_FINISHED = {"finished", "completed", "complete", "done", "success", "succeeded", "ok", ""}
_DIVERGED = {"diverged", "nan", "exploded"}


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The runs of a table in the order of its rows; values as they are written there."""

    values: Mapping[Key, float]
    failures: Mapping[Key, str]
    right: Mapping[Key, np.ndarray] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)  # of the test images, by arm
    notes: tuple[str, ...] = ()
    step_text: str = ""


def runs_of(table: Table, columns: Columns, at: At = "last", empty: str = "missing") -> Runs:
    """The runs of `table`.

    Raises:
        TableError: for two rows of one run, a seed that is no number, a value that is no number.
    """
    keys, run_of_row = _keys(table, columns)
    state = _states(table, columns, keys, run_of_row)
    if columns.images:
        return _from_image_columns(table, columns, keys, run_of_row)
    values, is_missing = table.numbers(columns.metric)
    if columns.image and len(keys) < np.count_nonzero(run_of_row >= 0):
        return _from_image_rows(table, columns, keys, run_of_row)
    rows, step_text, notes = _row_of_each(table, columns, keys, run_of_row, at, unfinished=state)
    return _collect(keys, rows, values, is_missing, state, empty, columns, step_text, notes)


def _keys(table: Table, columns: Columns) -> tuple[list[Key], np.ndarray]:
    """The runs, and for each row which of them it belongs to; -1 for rows that are empty."""
    parts = [table.texts(name) for name in columns.arm]
    seeds, seed_codes = table.texts(columns.seed)
    numbers = _seed_numbers(table, columns.seed, seeds, seed_codes)
    codes = np.stack([*(part[1] for part in parts), seed_codes])
    distinct, first, inverse = np.unique(codes, axis=1, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    order = np.argsort(first)
    position = np.empty(len(order), np.int64)
    keys: list[Key] = []
    known: dict[Key, int] = {}
    for column in order:
        *arm_codes, seed_code = distinct[:, column]
        texts = [texts[code].strip() for (texts, _), code in zip(parts, arm_codes, strict=True)]
        if not any(texts) and not seeds[seed_code].strip():
            position[column] = -1
            continue
        arm = _arm_name(table, columns, texts, int(first[column]))
        if (seed := numbers[seed_code]) is None:
            raise TableError(
                f"{table.place}, {table.row_name} {first[column] + 1}: '{columns.seed}' is empty; give the run a seed, or leave it out"
            )
        position[column] = known.setdefault((arm, seed), len(keys))
        if position[column] == len(keys):
            keys.append((arm, seed))
    return keys, position[inverse]


def _arm_name(table: Table, columns: Columns, texts: Sequence[str], row: int) -> str:
    if len(texts) == 1:
        if not texts[0]:
            raise TableError(
                f"{table.place}, {table.row_name} {row + 1}: '{columns.arm[0]}' is empty; name the arm of the run, or leave the row out"
            )
        return texts[0]
    return ", ".join(f"{name}={text or 'none'}" for name, text in zip(columns.arm, texts, strict=True))


def _seed_numbers(table: Table, name: str, seeds: Sequence[str], codes: np.ndarray) -> list[int | None]:
    """Whole numbers; those at the end of texts such as fold-3."""
    numbers: list[int | None] = []
    words_of: dict[int, set[str]] = {}
    for index, text in enumerate(seeds):
        match = re.fullmatch(r"\s*([^\d]*[^\d-])?(-?\d{1,18})(?:\.0+)?\s*", text)
        if text.strip() and not match:
            row = int(np.flatnonzero(codes == index)[0]) + 1
            raise TableError(
                f"{table.place}, {table.row_name} {row}: '{name}' must be a whole number, got '{text:.40}'; "
                "name the column of seeds with --seed"
            )
        numbers.append(int(match[2]) if match else None)
        if match:
            words_of.setdefault(int(match[2]), set()).add((match[1] or "").strip().lower())
    if twice := [number for number, texts in words_of.items() if len(texts) > 1]:
        raise TableError(f"{table.place}: two texts in '{name}' mean seed {twice[0]}; write seeds as whole numbers")
    return numbers


def _states(table: Table, columns: Columns, keys: Sequence[Key], run_of_row: np.ndarray) -> dict[int, str]:
    """The runs that are not finished, by their index, with their state."""
    if not columns.state:
        return {}
    texts, codes = table.texts(columns.state)
    states: dict[int, str] = {}
    for index, text in enumerate(texts):
        if (state := text.strip().lower()) not in _FINISHED:
            states |= {int(run): state for run in np.unique(run_of_row[codes == index]) if run >= 0}
    return states


def _row_of_each(
    table: Table, columns: Columns, keys: Sequence[Key], run_of_row: np.ndarray, at: At, unfinished: Container[int] = ()
) -> tuple[dict[int, int], str, list[str]]:
    """The row that counts for each run; of a history, that of the step `at`."""
    rows = np.flatnonzero(run_of_row >= 0)
    if len(rows) == len(keys):
        return dict(zip(run_of_row[rows].tolist(), rows.tolist(), strict=True)), "", []
    if not columns.step:
        order = rows[np.argsort(run_of_row[rows], kind="stable")]
        twice = int(np.flatnonzero(np.diff(run_of_row[order]) == 0)[0])
        (arm, seed), first, second = keys[run_of_row[order[twice]]], order[twice] + 1, order[twice + 1] + 1
        raise TableError(
            f"{table.place}, {table.row_name}s {first} and {second}: both are of arm '{arm:.60}', seed {seed}; leave one out, or name "
            "what tells them apart: more columns of the arm with --arm, or the epoch with --step"
        )
    steps, no_step = table.numbers(columns.step)
    values, is_missing = table.numbers(columns.metric)
    rows = rows[~is_missing[rows] & ~no_step[rows]]
    if at in {"last", "max", "min"}:
        by = steps if at == "last" else np.where(np.isnan(values), -math.inf, values * (1 if at == "max" else -1))
        order = rows[np.lexsort((rows, by[rows], run_of_row[rows]))]
    else:
        order = rows[steps[rows] == float(at)]
    chosen = dict(zip(run_of_row[order].tolist(), order.tolist(), strict=True))  # the last of each run stays
    used = sorted({float(steps[row]) for run, row in chosen.items() if run not in unfinished})
    name, notes = columns.step, []
    text = {"last": f"the last {name} of each run with a value", "max": f"the {name} of each run with the largest value",
            "min": f"the {name} of each run with the smallest value"}.get(at, f"{name} {at} of each run")  # fmt: skip
    if used and at == "last":
        text += f": {used[0]:g}" if len(used) == 1 else f": {used[0]:g} to {used[-1]:g}"
        if len(used) > 1:
            notes.append(
                f"The runs end at different values of '{name}', from {used[0]:g} to {used[-1]:g}: their budgets may differ."
            )
    if at in {"max", "min"}:
        notes.append(
            f"The best '{name}' of each run was chosen by the metric itself. On test images that is too optimistic."
        )
    return chosen, f"column '{name}': {text}", notes


def _collect(
    keys: Sequence[Key],
    rows: Mapping[int, int],
    values: np.ndarray,
    is_missing: np.ndarray,
    states: Mapping[int, str],
    empty: str,
    columns: Columns,
    step_text: str,
    notes: Sequence[str],
) -> Runs:
    kept: dict[Key, float] = {}
    failures: dict[Key, str] = {}
    without: list[str] = []
    for run, key in enumerate(keys):
        row, state = rows.get(run), states.get(run, "")
        has_value = row is not None and not is_missing[row]
        if (
            state in _DIVERGED
            or (has_value and not math.isfinite(values[row]))
            or (not has_value and empty == "diverged")
        ):
            failures[key] = "diverged"
        elif state:
            without.append(f"{key[0]} seed {key[1]} ({state})")
        elif has_value:
            kept[key] = float(values[row])
        else:
            without.append(f"{key[0]} seed {key[1]}")
    told = [f"Runs without a result, which are left out: {short_list(without)}."] if without else []
    if failures:
        verb = "counts" if len(failures) == 1 else "count"
        told.append(f"{count(len(failures), 'run')} without a finite '{columns.metric}' {verb} as diverged.")
    if "fold" in words(columns.seed):
        told.append("The folds of a cross-validation share training images, so the intervals are too narrow.")
    return Runs(values=kept, failures=failures, notes=(*notes, *told), step_text=step_text)


def _from_image_columns(table: Table, columns: Columns, keys: Sequence[Key], run_of_row: np.ndarray) -> Runs:
    """One row for each run, one column for each test image."""
    rows, _, _ = _row_of_each(table, replace(columns, step=""), keys, run_of_row, "last")
    order = np.array([rows[run] for run in range(len(keys))])
    answers = np.empty((len(keys), len(columns.images)), bool)
    for index, name in enumerate(columns.images):
        answers[:, index] = _right_or_wrong(table, name, order)
    right = dict(zip(keys, answers, strict=True))
    digest = _digest(columns.images)
    return Runs(
        values={key: float(row.mean()) for key, row in right.items()},
        failures={},
        right=right,
        digests={arm: digest for arm, _ in keys},
    )


def _from_image_rows(table: Table, columns: Columns, keys: Sequence[Key], run_of_row: np.ndarray) -> Runs:
    """One row for each run and test image."""
    images, image_of_row = table.texts(columns.image)
    rows = np.flatnonzero(run_of_row >= 0)
    rows = rows[np.lexsort((image_of_row[rows], run_of_row[rows]))]
    runs, image_codes = run_of_row[rows], image_of_row[rows]
    if len(twice := np.flatnonzero((np.diff(runs) == 0) & (np.diff(image_codes) == 0))):
        (arm, seed), image = keys[runs[twice[0]]], images[image_codes[twice[0]]]
        raise TableError(
            f"{table.place}: image '{image:.40}' has two rows for arm '{arm:.60}', seed {seed}; "
            "leave one out, or name more columns of the arm"
        )
    answers = _right_or_wrong(table, columns.metric, rows)
    right: dict[Key, np.ndarray] = {}
    digests: dict[str, set[str]] = {}
    known: dict[bytes, str] = {}
    for run, part in enumerate(np.split(np.arange(len(rows)), np.flatnonzero(np.diff(runs)) + 1)):
        content = image_codes[part].tobytes()
        if content not in known:
            known[content] = _digest([images[code] for code in image_codes[part]])
        right[keys[run]] = answers[part]
        digests.setdefault(keys[run][0], set()).add(known[content])
    return Runs(
        values={key: float(row.mean()) for key, row in right.items()},
        failures={},
        right={key: row for key, row in right.items() if len(digests[key[0]]) == 1},
        digests={arm: " ".join(sorted(parts)) for arm, parts in digests.items()},
    )


def _right_or_wrong(table: Table, name: str, rows: np.ndarray) -> np.ndarray:
    values, is_missing = table.numbers(name)
    is_wrong = is_missing[rows] | ~np.isin(values[rows], (0.0, 1.0))
    if is_wrong.any():
        row = int(rows[np.flatnonzero(is_wrong)[0]])
        texts, codes = table.texts(name)
        raise TableError(
            f"{table.place}, {table.row_name} {row + 1}: '{name}' says whether a test image is right and must be 0 or 1, "
            f"got '{texts[codes[row]]:.40}'; name other columns with --images or --metric"
        )
    return np.asarray(values[rows] == 1)


def _digest(images: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(images)).encode()).hexdigest()[:16]
