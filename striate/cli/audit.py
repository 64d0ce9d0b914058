"""`striate audit`: what is wrong with a dataset."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from striate.audit import Audit, Copies, NearPair
from striate.audit.audit import Auditor
from striate.audit.records import KINDS
from striate.cli.output import count, out, plain_json, table
from striate.report import audited
from striate.runs.layout import slug

MOST = 5  # findings of one kind that are printed; --json has all


def command(source: str, near: bool, report: Path | None, as_json: bool) -> None:
    """Print what an audit of a source finds, and write the page."""
    auditor = Auditor(source)
    found = auditor.audit(near=near)
    page = report or Path(f"{slug(found.name)}-audit.html")
    audited.write(found, auditor.pictures, page)
    if as_json:
        plain_json({**as_data(found), "report": str(page)})
        return
    _print(found)
    out(f"Report: {page}")


def _print(found: Audit) -> None:
    parts = ", ".join(f"{sum(counts):,} {part}" for part, counts in found.counts.items())
    out(f"{found.name}: {count(found.images, 'image')} ({parts}), {len(found.classes)} classes", bold=True)
    _shares(found)
    for note in found.notes:
        out(f"note: {note}")
    _flaws(found)
    _groups("copies, pixel by pixel", found.copies)
    if found.near is None:
        out("near duplicates: not looked for")
    else:
        _groups("near duplicates", found.near)
    if twins := found.test_twins:
        total = sum(found.counts[found.judged_part])
        share = f"{len(twins):,} of {total:,} {found.judged_part} images ({100 * len(twins) / total:.1f} %)"
        out(f"{share} have a copy or near duplicate in train")
    if several := found.two_labels:
        out(f"{count(len(several), 'group')} of copies or near duplicates with more than one label:")
        _listed([_sentence(one) for one in several])


def _shares(found: Audit) -> None:
    parts = list(found.counts)
    rows = []
    for index, name in enumerate(found.classes):
        cells = [(found.counts[part][index], sum(found.counts[part])) for part in parts]
        rows.append([name, *(f"{images:,} ({100 * images / total:.1f} %)" for images, total in cells)])
    if len(rows) > 2 * MOST + 2:
        rows.sort(key=lambda row: -int(row[1].split()[0].replace(",", "")))
        more = len(rows) - 2 * MOST
        rows = [*rows[:MOST], [f"{more} more", *("" for _ in parts)], *rows[-MOST:]]
    table(["class", *parts], rows, right=set(range(1, len(parts) + 1)))


def _flaws(found: Audit) -> None:
    numbers = Counter(flaw.kind for flaw in found.flaws)
    for kind, words in KINDS.items():
        if numbers[kind]:
            out(f"{count(numbers[kind], 'image')} {words}:")
            _listed([f"{one.part} {one.name}: {one.detail}" for one in found.flaws if one.kind == kind])
    if not found.flaws:
        out("no image is broken, tiny, blank, dark or of an odd size")


def _groups(what: str, groups: Sequence[Copies | NearPair]) -> None:
    by_parts = Counter(
        f"within {one.parts[0]}" if len(one.parts) == 1 else f"between {' and '.join(one.parts)}" for one in groups
    )
    if not groups:
        out(f"{what}: none")
        return
    where = ", ".join(f"{number:,} {place}" for place, number in sorted(by_parts.items()))
    out(f"{what}: {where}")
    across = [one for one in groups if len(one.parts) > 1]
    _listed([_sentence(one) for one in across or groups])


def _sentence(one: Copies | NearPair) -> str:
    if isinstance(one, Copies):
        return " = ".join(f"{image.part} {image.name} ({image.label})" for image in one.images[:MOST])
    how = "mirrored" if one.mirrored else "alike"
    return f"{one.score:.2f} {how}: {' and '.join(f'{i.part} {i.name} ({i.label})' for i in (one.first, one.second))}"


def _listed(lines: Sequence[str]) -> None:
    for line in lines[:MOST]:
        out(f"  {line}")
    if len(lines) > MOST:
        out(f"  and {len(lines) - MOST:,} more")


def as_data(found: Audit) -> dict[str, Any]:
    """An audit as JSON data."""
    data = asdict(found)
    data["copies"] = [{"parts": one.parts, "labels": one.labels, **asdict(one)} for one in found.copies]
    if found.near is not None:
        data["near"] = [{"parts": one.parts, "labels": one.labels, **asdict(one)} for one in found.near]
    return data
