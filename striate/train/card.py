"""MODEL_CARD.md: what a classifier is for, what it was made from, how well it does and what it was not tested on.

Only what is known is written: each number is from the run's own files.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from striate.core.records import printable
from striate.deploy.trained import Trained
from striate.nets import NetworkConfig
from striate.runs import DataFacts
from striate.runs.files import write_text
from striate.studies.results import Results
from striate.train.choice import Choice

FEW = 30  # test images of a class, of which an accuracy says little
MOST_CLASSES = 200
CONFUSED = 5


def write(path: Path, results: Results, choice: Choice, findings: Sequence[str], files: Sequence[str]) -> None:
    """Write the card of the chosen network; `files`: what lies beside it, a line each.

    Raises:
        RunError: when the disk refuses.
    """
    sections = (
        _head(results, choice),
        _use(choice, files),
        _data(choice, findings),
        _accuracy(choice),
        _training(results, choice),
        _untested(choice),
    )
    write_text(path, "\n".join(printable(line) for section in sections for line in (*section, "")).rstrip() + "\n")


def _head(results: Results, choice: Choice) -> Iterator[str]:
    names = [score.name for score in choice.classes]
    yield f"# {_plain(results.study.name)}"
    yield ""
    yield f"A classifier of images into {len(names)} classes: {_plain(', '.join(names[:MOST_CLASSES]))}."
    yield f"Right on the test part, which took no part in training or in any choice: {choice.overall}."


def _use(choice: Choice, files: Sequence[str]) -> Iterator[str]:
    trained = Trained.of(choice.run)
    yield "## What it is for"
    yield ""
    yield f"Images like those of {_plain(_facts(choice).name)}, one of its classes in each. It always answers one of them, also where an"
    yield "image shows none; the probability says how sure it is, and was not tested on such images."
    yield ""
    yield f"Images are prepared so: {trained.rule.sentence}."
    yield ""
    yield from (f"- {line}" for line in files)
    yield ""
    yield "```"
    yield "striate predict FOLDER-OF-THIS-CARD IMAGES... > predictions.csv"
    yield "```"


def _data(choice: Choice, findings: Sequence[str]) -> Iterator[str]:
    facts = _facts(choice)
    yield "## Data"
    yield ""
    yield f"{_plain(facts.name)}: {facts.train:,} training, {facts.validation:,} validation and {facts.test:,} test images"
    yield f"(digest {facts.digest[:16]})."
    yield ""
    notes = [*facts.notes, *(f"audit: {finding}" for finding in findings)]
    yield from (f"- {_plain(note)}" for note in notes)


def _accuracy(choice: Choice) -> Iterator[str]:
    yield "## Accuracy on the test part"
    yield ""
    yield f"{choice.overall}. The interval is that of other images of the same origin."
    yield ""
    yield "| class | accuracy % | right | test images | 95 % interval |"
    yield "|---|---|---|---|---|"
    for score in choice.classes[:MOST_CLASSES]:
        if score.images:
            low, high = score.interval
            yield f"| {_plain(score.name)} | {score.percent:.1f} | {score.right:,} | {score.images:,} | {low:.1f} to {high:.1f} |"
        else:
            yield f"| {_plain(score.name)} | - | - | 0 | - |"
    if len(choice.classes) > MOST_CLASSES:
        yield f"| {len(choice.classes) - MOST_CLASSES} more | | | | |"
    yield ""
    scores = choice.run.summary.test if choice.run.summary else None
    if scores and scores.balanced_accuracy is not None:
        yield f"Balanced accuracy (the mean of the classes): {100 * scores.balanced_accuracy:.1f} %."
    if scores and scores.calibration_error is not None:
        yield f"Calibration error (how far probabilities are from shares of right answers): {100 * scores.calibration_error:.1f} points."
    if confused := _confused(choice):
        yield f"Most often confused: {_plain('; '.join(confused))}."


def _confused(choice: Choice) -> list[str]:
    """The commonest mistakes."""
    scores = choice.run.summary.test if choice.run.summary else None
    if not scores or not scores.confusion:
        return []
    cells = [
        (count, row, column)
        for row, counts in enumerate(scores.confusion)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    names = [score.name for score in choice.classes]
    return [
        f"{names[row]} called {names[column]} ({count})"
        for count, row, column in sorted(cells, key=lambda c: (-c[0], c[1], c[2]))[:CONFUSED]
    ]


def _training(results: Results, choice: Choice) -> Iterator[str]:
    run, summary = choice.run, choice.run.summary
    assert summary
    yield "## How it was made"
    yield ""
    yield choice.sentence
    if results.verdicts:
        yield "The whole comparison on the test part, with all seeds:"
        yield ""
        yield from (f"- {_plain(verdict.sentence)}" for verdict in results.verdicts)
    yield ""
    network, recipe = run.job.network, run.job.recipe
    said = network.replace(pretrained=False).model_dump(mode="json", exclude_defaults=True)
    yield f"Network: `{json.dumps(said)}`, {summary.parameters:,} parameters{_began_with(network)}."
    yield f"Training: {summary.epochs} epochs (the weights are those of epoch {summary.best_epoch}), batches of {recipe.batch_size},"
    yield f"{recipe.optimizer.name} with a learning rate of {recipe.optimizer.lr:g}, {summary.seconds:,.0f} s."
    if recipe.class_weights == "balanced":
        yield "Classes of unequal size were weighted, so that each had the same share of the training."
    if environment := run.environment:
        versions = [f"striate {environment.striate}", f"Python {environment.python}"]
        if torch := (environment.model_extra or {}).get("torch"):
            versions.append(f"torch {torch}")
        yield f"Made with {', '.join(versions)}, in {environment.precision or 'float32'} on {environment.device or 'cpu'}."


def _began_with(network: NetworkConfig) -> str:
    if network.pretrained is True:
        return "; training began with torchvision's ImageNet weights"
    return f"; training began with the weights of {Path(network.pretrained).name}" if network.pretrained else ""


def _untested(choice: Choice) -> Iterator[str]:
    yield "## What it was not tested on"
    yield ""
    facts = _facts(choice)
    if any("is held out as the test part" in note for note in facts.notes):
        yield "- Images of another origin: the test images were drawn from the same folder as the training images, so a camera, a place"
        yield "  or a day that all of them share is part of what was learned."
    else:
        yield "- Images of another origin than the test part."
    yield "- Images that show none of its classes, or several of them."
    none = [score.name for score in choice.classes if not score.images]
    few = [score.name for score in choice.classes if 0 < score.images < FEW]
    if none:
        yield f"- Classes without a test image: {_plain(', '.join(none[:MOST_CLASSES]))}."
    if few:
        yield f"- Classes of fewer than {FEW} test images, whose intervals are wide: {_plain(', '.join(few[:MOST_CLASSES]))}."
    yield "- Noise, blur, other light or deliberate changes of the images."


def _facts(choice: Choice) -> DataFacts:
    summary = choice.run.summary
    assert summary
    assert summary.data
    return summary.data


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|" else char for char in printable(text, keep=""))
