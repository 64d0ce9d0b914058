"""The section of a study's page about its images: what the audit found, and whether the verdicts hold without the twins."""

from dataclasses import dataclass

from striate.report.metric_words import metric_words
from striate.report.sections import differences_of
from striate.report.wording import Table, count, percent, whole
from striate.studies.audited import StudyAudit, read_audit, verdicts_without_twins
from striate.studies.results import Results
from striate.verdicts import Verdict

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSection:
    """`sentences` say what holds; `facts` what was found, dataset by dataset."""

    sentences: tuple[str, ...]
    facts: tuple[tuple[str, Facts], ...] = ()
    differences: Table | None = None


def audit_section(results: Results) -> AuditSection:
    """Of the audit in the study's folder, if there is one."""
    audit = read_audit(results.folder)
    digests = {row.data.digest for row in results.rows if row.data and row.data.digest}
    known = [one for one in audit.datasets if one.digest in digests] if audit else []
    if audit is None or not known:
        why = " The audit in the study's folder is of other images." if audit else ""
        return AuditSection(
            sentences=(
                f"Near duplicates between training and test were not looked for.{why} Exact copies are among the notes on the data.",
            )
        )
    verdicts, judged_again = without_twins(results, audit)
    facts = tuple((one.name if len(known) > 1 else "", one.findings) for one in known)
    sentences = (*(_share(audit, digest) for digest in sorted(digests) if audit.of(digest)), *judged_again)
    words = metric_words(results)
    return AuditSection(
        sentences=sentences,
        facts=facts,
        differences=differences_of(verdicts, words.digits, has_new_images=any(v.new_images for v in verdicts)),
    )


def without_twins(results: Results, audit: StudyAudit) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """The verdicts on the test images without a twin in training, and what changes in sentences, or why there are none."""
    verdicts, obstacle = verdicts_without_twins(results, audit)
    sentences = _changes(results, verdicts)
    return verdicts, (*sentences, f"The comparisons were not judged again: {obstacle}.") if obstacle else sentences


def _share(audit: StudyAudit, digest: str) -> str:
    one = audit.of(digest)
    assert one is not None
    kinds = "a copy or near duplicate" if one.near else "a copy"
    share = percent(100 * len(one.twins) / max(1, one.test_images))
    has = "has" if len(one.twins) == 1 else "have"
    return f"{one.name}: {whole(len(one.twins))} of {whole(one.test_images)} test images ({share}) {has} {kinds} in training."


def _changes(results: Results, without: tuple[Verdict, ...]) -> tuple[str, ...]:
    """Whether each verdict is the same without the twins."""
    pairs = [(before, after) for before, after in zip(results.verdicts, without, strict=False)]
    changed = [(before, after) for before, after in pairs if before.label != after.label]
    if not pairs:
        return ()
    if not changed:
        all_of = {1: "The verdict is", 2: "Both verdicts are"}.get(len(pairs), f"All {len(pairs)} verdicts are")
        return (f"{all_of} the same without these test images.",)
    lines = [
        f"{before.comparison}: {before.label} on all test images, {after.label} without these."
        for before, after in changed
    ]
    same = len(pairs) - len(changed)
    return (*lines, *([f"The other {count(same, 'verdict is', 'verdicts are')} the same."] if same else []))
