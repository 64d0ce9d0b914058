"""docs/answers.md: one table of all claims, then each question with its figure, its verdict in words, and what it took."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from making import drawing
from making.facts import Row
from making.questions import Question
from striate.report.figures import arm_accuracy
from striate.report.metric_words import MetricWords
from striate.report.sections import cards
from striate.report.study_facts import study_yaml
from striate.report.wording import MINUS, NONE, Table, count, duration, listed, percent, plain, shortened, signed
from striate.studies.loaded import load
from striate.studies.results import Results
from striate.studies.rows import RunRow
from striate.studies.study import PARTS, Study
from striate.verdicts import Verdict
from striate.verdicts.claims import ClaimVerdict, Judged
from striate.verdicts.wording import seed_list

PAGE = "docs/answers.md"  # from the README
IMAGES = "images/answers"
NOT_MEASURED = "not measured"
AT_FULL = {"", "report", "full"}  # sizes with the settings of the source
MOST_STATEMENTS = 3  # of a claim that are written out
HEAD = """\
# The five reports, answered

<!-- written by docs/answers.py (make answers) from docs/results; change nothing here -->

Five course reports on convolutional networks (A to E) asked good questions and answered them with one run each. This page asks them
again, on several seeds, with the settings chosen on validation images and the test images opened once. Each number below is computed
from the [files of the runs](results/README.md), by the program that judges your own studies.
"""
TABLES_AND_PICTURES = """\
## Tables and pictures

What the reports show beside their claims, and where Striate has it.

| | what | where |
|---|---|---|
| A4 | a network from scratch: forward, backward, training, on NumPy and CuPy | [from scratch](from-scratch.md) |
| B9 | every run tracked with its configuration; curves side by side | [run folders](runs.md), [reports](report.md) |
| C8 | accuracy by class, and the time of each variant | [reports](report.md) |
| D3 | the table of layers: shapes, weights and biases, neurons, shares | [layer tables](network-tables.md) |
| D4, D5 | filters of the first layer before and after training; feature maps | [looking inside](explain.md), [gallery](gallery.md) |
| D6, D7 | patches that excite a neuron most; guided backpropagation | [looking inside](explain.md), [gallery](gallery.md) |
"""


def page(asked: Sequence[Question], facts: Sequence[Row]) -> str:
    """The text of the page."""
    computed = {row.row for row in facts}
    stated = [row for question in asked for row in claim_rows(question, computed)]
    rows = sorted([*facts, *stated], key=lambda row: _order(row.row))
    parts = [HEAD, _summary(rows), "## All claims\n", _claims_table(rows)]
    parts += [section(question) for question in asked]
    return "\n".join([*parts, TABLES_AND_PICTURES])


def _order(row: str) -> tuple[str, int]:
    return row[:1], int(row[1:])


def _summary(rows: Sequence[Row]) -> str:
    words = Counter(row.verdict for row in rows)
    one_and_several = {
        "holds": ("holds", "hold"),
        "does not hold": ("does not hold", "do not hold"),
        "undecided": ("is undecided", "are undecided"),
        "not comparable": ("is not comparable", "are not comparable"),
        NOT_MEASURED: ("is not measured yet", "are not measured yet"),
    }
    counted = [f"{words[word]} {texts[words[word] > 1]}" for word, texts in one_and_several.items() if words[word]]
    return (
        f"Of {len(rows)} claims, {listed(counted)}. A claim holds if the 95 % interval of what was measured lies within what is stated, "
        "it does not hold if it lies outside, and else it is [undecided](verdicts.md). It is not comparable where the settings differ "
        "by more than the seed.\n"
    )


def _claims_table(rows: Iterable[Row]) -> str:
    lines = ["| | who | what they say | measured | verdict |", "|---|---|---|---|---|"]
    for row in rows:
        name = f"[{row.row}]({row.link})" if row.link else row.row
        how = f"<br>`{row.command}`" if row.command else ""
        verdict = f"**{row.verdict}**" if row.verdict == "does not hold" else row.verdict
        lines.append(f"| {name} | {_cell(row.who)} | {_cell(row.says)} | {_cell(row.measured)}{how} | {verdict} |")
    return "\n".join(lines) + "\n"


def claim_rows(question: Question, computed: Collection[str] = ()) -> list[Row]:
    """A row for each claim of a study, measured or not.

    What states no number and no relation cannot be judged; it is left out where the program computes it (rows `computed`).
    """
    row, rows = question.rows[0], []
    judged = question.results.claims if question.results else [None] * len(question.study.claims)
    claims = (question.results.study if question.results else question.study).claims
    for claim, verdict in zip(claims, judged, strict=True):
        if not (claim.values or claim.relation) and row in computed:
            continue
        if question.results and verdict:
            size = question.results.study.size
            reduced = f" (at size {size})" if size not in AT_FULL else ""
            measured, word = _measured(verdict, question.results) + reduced, verdict.word
        else:
            measured, word = question.why_not or NONE, NOT_MEASURED
        rows.append(
            Row(row=row, who=claim.source, says=claim.says, measured=measured, verdict=word, link=f"#{question.name}")
        )
    return rows


def _measured(claim: ClaimVerdict, results: Results) -> str:
    """What was measured of each thing that a claim states; where it cannot be judged, the accuracies of its arms."""
    statements = claim.statements
    if len(statements) <= MOST_STATEMENTS:
        return "; ".join(_statement(statement, results) for statement in statements) or NONE
    # One arm against many: the one that decides, closest to what is stated or furthest from it.
    decides = min((s for s in statements if s.word == claim.word), key=lambda s: s.measured or 0.0)
    return f"{_statement(decides, results)}, the least of {len(statements)} comparisons"


def _statement(statement: Judged, results: Results) -> str:
    if statement.interval is None or statement.measured is None:
        return "; ".join(_accuracy(results, arm) for arm in statement.arms)
    mean, interval = statement.measured, statement.interval
    if len(statement.arms) == 1:
        return f"{statement.arms[0]} {plain(mean)} % ({plain(interval.low)} to {plain(interval.high)})"
    pair = f"{statement.arms[0]} {MINUS} {statement.arms[1]}"
    if statement.metric.scale == "ratio":
        times = [plain(1 + x / 100, 2) for x in (mean, interval.low, interval.high)]
        return f"{statement.arms[0]} {times[0]} times {statement.arms[1]} in {statement.metric.name} ({times[1]} to {times[2]})"
    digits, unit = (1, " points") if statement.metric.scale == "percent" else (3, "")
    return f"{pair}: {signed(mean, digits)}{unit} ({signed(interval.low, digits)} to {signed(interval.high, digits)})"


def _accuracy(results: Results, arm: str) -> str:
    """The accuracies of an arm that no claim is judged by."""
    made, runs = arm_accuracy(results, arm), [row for row in results.of(arm) if row.trained]
    if all(row.state == "missing" for row in results.of(arm)):
        return f"{arm} was not run"
    if made.mean is None:
        return f"{arm}: no run learned"
    validation = _mean([row.validation_accuracy for row in runs])
    return f"{arm} {percent(made.mean)} on test, {validation} on validation images ({count(made.n, 'seed')})"


def headline(pick: Mapping[str, Any], asked: Sequence[Question], facts: Sequence[Row]) -> str:
    """A line for the README: a question with its verdict, or a claim with what was measured. Empty where it was not measured.

    `pick` names a study and, if it is not the first, its comparison or the number of its claim; or a row that is computed.
    """
    if "fact" in pick:
        row = [fact for fact in facts if fact.row == pick["fact"]][pick.get("number", 0)]
        return f"**{_says(row.who, row.says)}** {row.verdict}: {_text(row.measured)}. [{row.row}]({PAGE}#all-claims)"
    question = next(question for question in asked if question.name == pick["study"])
    if question.results is None:
        return ""
    link = f"[{question.rows[0]}]({PAGE}#{question.name})"
    asked_for = f"**{_text(question.study.question)}**"
    if "claim" in pick:
        claim = question.results.claims[pick["claim"]]
        measured = _text(_measured(claim, question.results))
        return f"{asked_for} {_says(claim.source, claim.says)} {claim.word}: {measured}. {link}"
    verdicts = {verdict.comparison: verdict for verdict in question.results.verdicts}
    verdict = verdicts[pick.get("comparison", next(iter(verdicts)))]
    said = next((f" {_says(claim.source, claim.says)}." for claim in question.results.claims), "")
    return f"{asked_for} {_text(_short(verdict))}{said} {link}"


def _says(who: str, says: str) -> str:
    return f"{_word(_text(who.partition(',')[0]))}: “{_text(says)}”"


def _word(word: str) -> str:
    return word[:1].upper() + word[1:]


def _short(verdict: Verdict) -> str:
    """A verdict in a line."""
    words, interval = MetricWords(metric=verdict.metric), verdict.interval
    means = f"{verdict.first} {words.value(verdict.first_mean)}, {verdict.second} {words.value(verdict.second_mean)}"
    if interval is None:
        return f"{_word(verdict.label)}: {means}."
    size = f"{words.difference(words.mean_difference(verdict))}, 95 % interval {words.between_differences(interval)}"
    return f"{_word(verdict.label)}: {means} ({size}; {count(interval.n, 'seed')} each)."


def section(question: Question) -> str:
    """One question, with its anchor."""
    title = f'<a id="{question.name}"></a>\n## {", ".join(question.rows)}. {question.study.question}\n'
    title += f"\n{question.remark}\n" if question.remark else ""
    if question.results is None:
        why = question.why_not or "No result has been added yet."
        stated = [f"- {claim.source}: {_text(claim.says)}" for claim in question.study.claims]
        return "\n".join([title, f"Not measured. {why}\n", *stated, "", _command(f"striate run {question.name}")])
    results = question.results
    parts = [title, *_answers(results), *_pictures(question.name, results), table(_arms(results)), *_claims(results)]
    how = _command(command(question, results)) if question.is_built_in else _study_file(question.name, results)
    return "\n".join([*parts, how, _took(results)])


def _answers(results: Results) -> list[str]:
    """The verdicts in words; for a study that compares nothing, what its search, scale or grid found."""
    lines = [f"- {card.glyph} **{card.label}**: {_text(card.sentence)}" for card in cards(results)]
    if results.study.found:
        lines += [f"- {arm.name}: {_settings(arm.changes)}." for arm in results.arms]
    if results.scale:
        lines.append(f"- {_text(results.scale.sentence)}")
    lines += [
        f"- {_text(note)}" for note in results.notes if note != f"This is the study's size '{results.study.size}'."
    ]
    return [*lines, ""] if lines else []


def _pictures(name: str, results: Results) -> list[str]:
    """Each figure, with its title below it."""
    return [
        f"![{title}]({IMAGES}/{figure.file})\n\n*{title}.*\n"
        for figure in drawing.figures_of(results, name)
        if (title := _text(figure.title).rstrip("."))
    ]


def _arms(results: Results) -> Table:
    """Each arm: mean accuracy with its interval, the runs, test loss, time and size."""
    rows = []
    for arm in results.arms:
        made, runs = (
            arm_accuracy(results, arm.name),
            [row for row in results.of(arm.name) if row.summary and row.trained],
        )
        summaries = [row.summary for row in runs if row.summary]
        losses = [summary.test_loss for summary in summaries if summary.test_loss is not None]
        interval = f" ({plain(made.interval.low)} to {plain(made.interval.high)})" if made.interval else ""
        rows.append(
            (
                arm.name,
                f"{percent(made.mean)}{interval}",
                plain(made.standard_deviation, 2),
                " ".join(plain(point.value) + ("" if point.trained else "\\*") for point in made.points) or NONE,
                _mean([row.validation_accuracy for row in runs]),
                *([_mean([_last_training(row) for row in runs])] if results.study.watch_train else []),
                plain(fmean(losses), 3) if losses else NONE,
                f"{fmean(s.epochs for s in summaries):.0f}" if summaries else NONE,
                duration(fmean(s.seconds for s in summaries)) if summaries else NONE,
                f"{summaries[0].parameters:,}" if summaries else NONE,
            )
        )
    watched = ["training"] if results.study.watch_train else []
    head = (
        "arm",
        "test accuracy (95 %)",
        "sd",
        "each run",
        "validation",
        *watched,
        "test loss",
        "epochs",
        "a run",
        "parameters",
    )
    is_starred = any("*" in row[3] for row in rows)
    return Table(
        head=head, rows=tuple(rows), note="\\* diverged or stayed at chance; not in the mean." if is_starred else ""
    )


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return percent(fmean(known)) if known else NONE


def _last_training(row: RunRow) -> float | None:
    """Accuracy on the plain training images after the last epoch, in percent."""
    share = row.run.metrics[-1].train_eval_accuracy if row.run and row.run.metrics else None
    return None if share is None else 100 * share


def table(made: Table) -> str:
    """A table as Markdown."""
    lines = ["| " + " | ".join(map(_cell, made.head)) + " |", "|" + "---|" * len(made.head)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in made.rows]
    return "\n".join([*lines, *(["", made.note] if made.note else [])]) + "\n"


def _claims(results: Results) -> list[str]:
    """Each claim with its verdict in words; of one arm against many, in short."""
    lines = []
    for claim in results.claims:
        is_long = len(claim.statements) > MOST_STATEMENTS
        measured = f"{_measured(claim, results)}." if is_long else claim.sentence
        lines.append(f"- “{_text(claim.says)}” ({_text(claim.source)}): **{claim.word}**. {_text(measured)}")
    return [*lines, ""] if lines else []


def command(question: Question, results: Results) -> str:
    """What runs this study again: at its size, with what differs from the study file of today."""
    size = results.study.size
    changed = differences(results.study, load(question.name, size=size).study)
    options = [_option(key, value) for key, value in changed.items()]
    return " ".join(filter(None, [f"striate run {question.name}", f"--size {size}" if size else "", *options]))


def differences(ran: Study, now: Study) -> dict[str, Any]:
    """The settings that a study was run with and its file does not have, by dotted key; where images lie is none."""
    pairs = [_flat(study.model_dump(mode="json", include={*PARTS, "search", "seeds"})) for study in (ran, now)]
    return {key: value for key, value in pairs[0].items() if key != "data.source" and pairs[1].get(key) != value}


def _flat(content: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {key: content}
    return {k: v for name, item in content.items() for k, v in _flat(item, f"{key}.{name}".strip(".")).items()}


def _option(key: str, value: Any) -> str:
    """A setting on the command line."""
    if key == "seeds" and list(value) == list(range(len(value))):
        return f"--seeds {len(value)}"
    text = f"{key}={json.dumps(value) if isinstance(value, list) else value}"
    return f"'{text}'" if set(text) & set(" []{}") else text


def _settings(changes: Mapping[str, Any]) -> str:
    """key=value, with numbers as one reads them."""
    shown = {key: f"{value:.3g}" if isinstance(value, float) else str(value) for key, value in changes.items()}
    return ", ".join(f"{key}={value}" for key, value in shown.items())


def _study_file(name: str, results: Results) -> str:
    """The study that is not built in, to be saved and run."""
    text = study_yaml(results.study)
    return f"A study of its own, `{name}.yaml`:\n\n```yaml\n{text}```\n"


def _command(text: str) -> str:
    return f"```\n{text}\n```\n"


def _took(results: Results) -> str:
    """Seeds, images, machine, versions and time."""
    runs = [row for row in results.rows if row.run and row.summary]
    data = next((row.data for row in runs if row.data), None)
    environments = [row.run.environment for row in runs if row.run and row.run.environment]
    seconds = sum(row.summary.seconds for row in runs if row.summary)
    of_all = (
        f"{len(runs)} of {count(len(results.rows), 'run')}"
        if len(runs) < len(results.rows)
        else count(len(runs), "run")
    )
    sentences = [f"{of_all} ({seed_list(results.seeds)}), {duration(seconds)} of training and evaluation in all."]
    if data:
        sizes = ((data.train, "training"), (data.validation, "validation"), (data.test, "test"))
        sentences.append(f"Images of {data.name}: {listed(f'{size or 0:,} for {part}' for size, part in sizes)}.")
    for word, values in (
        ("On", {e.device_name or e.device for e in environments}),
        ("In", {e.precision for e in environments}),
        (
            "Striate",
            {
                " ".join(filter(None, (e.striate, f"({e.study_commit[:8]})" if e.study_commit else "")))
                for e in environments
            },
        ),
    ):
        if known := sorted(filter(None, values)):
            sentences.append(f"{word} {listed(known)}.")
    sentences.append(f"Planned on {results.design.date}.")
    return " ".join(map(_text, sentences)) + "\n"


def _text(text: str) -> str:
    """A sentence of the program as Markdown shows it."""
    plain_text = shortened(text).replace("<", "&lt;").replace("*", "\\*").replace("~", "\\~").replace("+-", "±")
    return re.sub(r" -(?=\d)", f" {MINUS}", plain_text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
