"""`striate audit`: what is wrong with a dataset."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from striate.audit import Audit, Copies, NearPair
from striate.audit.audit import Auditor, Features
from striate.audit.records import KINDS
from striate.cli.output import count, duration, out, plain_json, table
from striate.cli.results import verdict_json
from striate.core.errors import StriateError
from striate.core.processes import cpu_count
from striate.data import DataConfig, Dataset
from striate.data import load as load_data
from striate.data.canonical_order import hash_images
from striate.data.dataset import Images
from striate.report import audited, pages
from striate.report.twins import without_twins
from striate.runs.layout import AUDIT_PAGE, REPORT, STUDY, slug
from striate.studies.audited import DatasetAudit, StudyAudit, network_for, suspected_labels, write_audit
from striate.studies.loaded import load as load_study
from striate.studies.results import Results

PAIR_SECONDS = 1.5e-8  # of a core, to compare two images: benchmarks/2026-11-26-audit.md
LONG = 120  # seconds
MOST = 5  # findings of one kind that are printed; --json has all


def command(source: str, near: bool, report: Path | None, runs: Path, as_json: bool) -> None:
    """Print what an audit of a source or of a study's images finds, and write the page."""
    if _is_study(source):
        _study(source, near, report, runs, as_json)
        return
    auditor = _auditor(source, near)
    found = auditor.audit(near=near)
    page = report or Path(f"{slug(found.name)}-audit.html")
    audited.write(found, auditor.pictures, page)
    if as_json:
        plain_json({**as_data(found), "report": str(page)})
        return
    _print(found)
    out(f"Report: {page}")


def _auditor(data: str | DataConfig, near: bool) -> Auditor:
    """The source with its images looked at. A long search for near duplicates is announced."""
    auditor = Auditor(data)
    seconds = PAIR_SECONDS * len(auditor.table) ** 2 / cpu_count()
    if near and seconds > LONG:
        out(
            f"comparing {len(auditor.table):,} images with each other: about {duration(seconds)}; "
            "--no-near leaves this out",
            error=True,
        )
    return auditor


def _is_study(source: str) -> bool:
    path = Path(source)
    return path.suffix.lower() in {".yaml", ".yml"} or (path / STUDY).is_file()


def _study(source: str, near: bool, report: Path | None, runs: Path, as_json: bool) -> None:
    study = load_study(source, out=runs)
    audits: list[DatasetAudit] = []
    data = []
    for config in {json.dumps([arm.data.identity(), arm.data.source]): arm.data for arm in study.arms}.values():
        dataset = load_data(config)
        if dataset.digest in {one.digest for one in audits}:
            continue
        study.folder.mkdir(parents=True, exist_ok=True)
        page = study.folder / (AUDIT_PAGE if not audits else f"audit-{len(audits) + 1}.html")
        audit, found = _dataset(study.folder, config, dataset, near, report if report and not audits else page)
        audits.append(audit)
        data.append({**as_data(found), "digest": audit.digest, "test_rows_with_twins": audit.twins})
        suspected = _suspected(study.folder, dataset.digest)
        data[-1]["suspected_labels"] = suspected
        if not as_json:
            _print(found)
            _print_suspects(suspected)
            seen = f"{len(audit.twins):,} of the study's {audit.test_images:,} test images"
            out(f"{seen} have a copy or near duplicate in training")
    kept = StudyAudit(datasets=tuple(audits))
    write_audit(study.folder, kept)
    if (study.folder / REPORT).is_file():
        pages.write(study.results())
    has_runs = (study.folder / STUDY).is_file()
    verdicts, sentences = without_twins(Results.read(study.folder), kept) if has_runs else ((), ())
    if as_json:
        again = {"sentences": list(sentences), "verdicts": [verdict_json(verdict) for verdict in verdicts]}
        plain_json({"study": study.study.name, "datasets": data, "without_twins": again})
    else:
        for sentence in sentences:
            out(sentence)
        out(f"Kept in {study.folder}, with a page for each dataset")


def _features(folder: Path, dataset: Dataset, test: Images) -> tuple[Features | None, str]:
    """What a trained network of the study makes of its images, and whose it is; or why there is none."""
    if not (folder / STUDY).is_file():
        return None, "Features are left out: no run has trained yet."
    row, words = network_for(Results.read(folder), dataset.digest)
    if row is None or row.run is None:
        return None, f"Features are left out: {words}."
    try:
        from striate.explain.features import features

        parts = [dataset.train.images, *([dataset.validation.images] if dataset.validation else []), test]
        values = [features(row.run.folder, part) for part in parts]
    except (ImportError, StriateError) as error:
        return None, f"Features are left out: {error}."
    hashes = np.concatenate([hash_images(part) for part in parts])
    return Features(hashes, np.concatenate(values)), f"Features of {words}."


def _suspected(folder: Path, digest: str) -> list[dict[str, Any]]:
    """Test labels that may be wrong, by each arm whose runs used these images."""
    if not (folder / STUDY).is_file():
        return []
    results, found = Results.read(folder), []
    for arm in results.arms:
        rows = [row for row in results.of(arm.name) if row.trained and row.data and row.data.digest == digest]
        classes = next((row.data.classes for row in rows if row.data), ())
        accuracies = [row.test_accuracy for row in rows if row.test_accuracy is not None]
        accuracy = fmean(accuracies) if accuracies else None
        for one in suspected_labels(results, arm.name) if classes else ():
            names = {"label": classes[one.label], "answer": classes[one.answer]}
            found.append({"arm": arm.name, "arm_accuracy": accuracy, "test_row": one.image, **asdict(one), **names})
    return found


def _print_suspects(suspected: Sequence[dict[str, Any]]) -> None:
    for (arm, accuracy), number in Counter((one["arm"], one["arm_accuracy"]) for one in suspected).items():
        right = "" if accuracy is None else f", which get {accuracy:.0f} % of the test images right"
        out(f"{count(number, 'test label')} to look at, by the runs of {arm}{right}; the report shows the surest")
    if suspected:
        out("  A network that is often wrong suspects many labels that are right.")


def _dataset(folder: Path, config: DataConfig, dataset: Dataset, near: bool, page: Path) -> tuple[DatasetAudit, Audit]:
    """The audit of one dataset of a study, for its folder and in full. The page is written."""
    auditor = _auditor(config, near)
    test = dataset.open_test("to look for its pictures in training")
    features, of = _features(folder, dataset, test.images) if near else (None, "")
    found = auditor.audit(near=near, features=features, of=of)
    audited.write(found, auditor.pictures, page)
    audit = DatasetAudit(
        digest=dataset.digest,
        name=dataset.name,
        near=near,
        test_images=len(test),
        twins=tuple(auditor.twins(found, dataset.train.images, test.images)),
        findings=audited.findings(found),
    )
    return audit, found


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
        _turned(found)
    if found.shared:
        out(
            f"{count(len(found.shared), 'group')} of images, such as frames of a film, in several parts; keep each in one:"
        )
        _listed([f"{one.kind} '{one.name}': {_in_parts(one.counts)}" for one in found.shared])
    _divided(found)
    if twins := found.test_twins:
        total = sum(found.counts[found.judged_part])
        share = f"{len(twins):,} of {total:,} {found.judged_part} images ({100 * len(twins) / total:.1f} %)"
        out(f"{share} have a copy or near duplicate in train")
    if several := found.two_labels:
        out(f"{count(len(several), 'group')} of copies or near duplicates with more than one label:")
        _listed([_sentence(one) for one in several])


def _divided(found: Audit) -> None:
    if not found.divided:
        return
    groups = f"{count(len(found.divided), 'group')} of images, such as frames of a film, in the train part"
    out(f"{groups}, which a study divides image by image; {found.group_cure}:")
    _listed([f"{one.kind} '{one.name}': {_in_parts(one.counts)}" for one in found.divided])


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


def _turned(found: Audit) -> None:
    """The pairs that features chose. They are no near duplicates, and not counted among them."""
    if found.turned is not None:
        _groups("perhaps alike, one of them turned", found.turned)
    if found.features:
        out(f"  {found.features}")


def _in_parts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} in {part}" for part, number in counts.items())


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
    if found.turned is not None:
        data["turned"] = [{"parts": one.parts, "labels": one.labels, **asdict(one)} for one in found.turned]
    return data
