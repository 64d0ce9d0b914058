"""Mistakes with the images themselves: the hardest for the best arm, and those that only it gets right.

The images come from where the study finds them, if that has the very images of the runs (by digest). Nothing is downloaded.
"""

import base64
import io
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from striate.audit.suspects import Suspect
from striate.core.errors import StriateError
from striate.data import load, no_download
from striate.report.answers import StudyAnswers, class_names
from striate.report.wording import abbreviated, count, plain, shortened
from striate.runs.predictions import Answers
from striate.studies.audited import suspected_labels
from striate.studies.results import Results

HARDEST, ONLY_ONE = 24, 12
MOST_OF_PAIR = 3  # tiles of one kind of mistake
SIDE = 96  # pixels on the page
PIXELATED = 64  # pixels: smaller images are sent as they are
SURE = 0.9  # mean confidence in one wrong answer, by every run: the label may be wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    image: int  # its number in the test part
    label: str
    answer: str
    numbers: str
    picture: str = ""  # a data URI
    width: int = SIDE
    height: int = SIDE


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    title: str
    rule: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistakes:
    strips: tuple[Strip, ...]
    missing: str = ""  # why the images are not shown


@dataclass(frozen=True)
class _Arm:
    """The answers of an arm's runs, stacked by run."""

    name: str
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    of_label: NDArray[np.float32]
    loss: NDArray[np.float32]

    @classmethod
    def of(cls, name: str, found: list[Answers]) -> "_Arm":
        stacked = {
            key: np.stack([getattr(a, key) for a in found]) for key in ("predicted", "confidence", "of_label", "loss")
        }
        return cls(name, found[0].labels, **stacked)

    @property
    def wrong(self) -> NDArray[np.int64]:
        """In how many runs each image is wrong."""
        return (self.predicted != self.labels).sum(0)

    def answer(self, image: int) -> int:
        """The commonest wrong answer; the right one where there is none."""
        wrong = [int(k) for k in self.predicted[:, image] if k != self.labels[image]]
        return (
            min(Counter(wrong).items(), key=lambda item: (-item[1], item[0]))[0] if wrong else int(self.labels[image])
        )


def mistakes(answers: StudyAnswers) -> Mistakes | None:
    """None where no run has its answers."""
    arms = [_Arm.of(arm, list(found.values())) for arm in answers.pair if (found := answers.of(arm))]
    names = class_names(answers.results)
    if not arms or len(arms) < len(answers.pair) or any(arm.labels.max() >= len(names) for arm in arms):
        return None
    images, missing = _images(answers.results, arms[-1])
    strips = [_hardest(arms[-1], names, images), *_only_one(arms, names, images), *_suspects(answers, names, images)]
    return Mistakes(strips=tuple(strip for strip in strips if strip.tiles), missing=missing)


def _hardest(arm: _Arm, names: tuple[str, ...], images: NDArray[np.uint8] | None) -> Strip:
    order = [int(i) for i in np.argsort(-arm.loss.mean(0), kind="stable") if arm.wrong[i]]
    tiles = [_tile(arm, image, names, images) for image in _spread_out(arm, order, HARDEST)]
    return Strip(
        title=f"The hardest test images for {abbreviated(arm.name)}",
        rule=f"Largest mean loss over the {count(len(arm.predicted), 'run')} that trained; at most {MOST_OF_PAIR} of one kind of mistake.",
        tiles=tuple(tiles),
    )


def _suspects(answers: StudyAnswers, names: tuple[str, ...], images: NDArray[np.uint8] | None) -> list[Strip]:
    """Labels that may be wrong, by confident learning over all seeds of the better arm."""
    arm = answers.pair[-1]
    found = suspected_labels(answers.results, arm)
    share = f"{len(found)} suspected label{'' if len(found) == 1 else 's'}" if found else ""
    return [
        Strip(
            title=f"Labels that may be wrong, by {abbreviated(arm)}",
            rule=f"{share}, the surest first: the mean probability of another class is at least what its own images get on "
            "average (confident learning). A suspect is to be looked at: of those in CIFAR-10's test part, people found one in five wrong, "
            "and a network that is often wrong suspects many labels that are right.",
            tiles=tuple(_suspect(one, names, images) for one in found[:HARDEST]),
        )
    ]


def _suspect(one: Suspect, names: tuple[str, ...], images: NDArray[np.uint8] | None) -> Tile:
    uri, height = picture_uri(images[one.image]) if images is not None else ("", SIDE)
    numbers = (
        f"p {plain(one.of_answer, 2)}, of the label {plain(one.of_label, 2)}; {one.agreeing} of {one.runs} runs say so"
    )
    return Tile(
        image=one.image, label=names[one.label], answer=names[one.answer], numbers=numbers, picture=uri, height=height
    )


def _only_one(arms: list[_Arm], names: tuple[str, ...], images: NDArray[np.uint8] | None) -> list[Strip]:
    """Images that the better arm gets and the baseline does not."""
    if len(arms) < 2 or not np.array_equal(arms[0].labels, arms[1].labels):
        return []
    baseline, best = arms
    gain = (baseline.wrong / len(baseline.predicted)) - (best.wrong / len(best.predicted))
    order = [int(i) for i in np.lexsort((-baseline.loss.mean(0), -gain)) if gain[i] > 0.5]
    tiles = [_tile(baseline, image, names, images) for image in _spread_out(baseline, order, ONLY_ONE)]
    return [
        Strip(
            title=f"Right in {abbreviated(best.name)}, wrong in {abbreviated(baseline.name)}",
            rule=f"Of {len(order)} images on which the shares of right runs differ by more than half. The numbers are those of "
            f"{abbreviated(baseline.name)}.",
            tiles=tuple(tiles),
        )
    ]


def _spread_out(arm: _Arm, order: list[int], most: int) -> list[int]:
    """The first of `order`, with at most MOST_OF_PAIR of one label and answer."""
    kinds: Counter[tuple[int, int]] = Counter()
    chosen: list[int] = []
    for image in order:
        kind = (int(arm.labels[image]), arm.answer(image))
        if kinds[kind] < MOST_OF_PAIR and len(chosen) < most:
            kinds[kind] += 1
            chosen.append(image)
    return chosen


def _tile(arm: _Arm, image: int, names: tuple[str, ...], images: NDArray[np.uint8] | None) -> Tile:
    runs, answer = len(arm.predicted), arm.answer(image)
    says = arm.predicted[:, image] == answer
    sure = float(arm.confidence[says, image].mean())
    numbers = (
        f"p {plain(sure, 2)}, of the label {plain(float(arm.of_label[:, image].mean()), 2)}; loss "
        f"{plain(float(arm.loss[:, image].mean()))}; wrong in {int(arm.wrong[image])} of {runs}"
    )
    if says.all() and sure > SURE and runs > 1:
        numbers += "; all runs are sure, so the label may be wrong"
    uri, height = picture_uri(images[image]) if images is not None else ("", SIDE)
    label = names[arm.labels[image]]
    return Tile(image=image, label=label, answer=names[answer], numbers=numbers, picture=uri, height=height)


def picture_uri(pixels: NDArray[np.uint8]) -> tuple[str, int]:
    """The image as a data URI with its height on the page: small ones as they are, large ones at the size of the page."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    if max(picture.size) > PIXELATED:
        picture.thumbnail((2 * SIDE, 2 * SIDE), Image.Resampling.LANCZOS)
        picture.save(buffer, "JPEG", quality=82)
        kind = "jpeg"
    else:
        picture.save(buffer, "PNG", optimize=True)
        kind = "png"
    height = round(SIDE * picture.height / picture.width)
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{content}", height


def _images(results: Results, arm: _Arm) -> tuple[NDArray[np.uint8] | None, str]:
    """The test images of an arm's runs, or why they cannot be shown."""
    config = next(one.data for one in results.arms if one.name == arm.name)
    digests = {row.data.digest for row in results.of(arm.name) if row.data and row.trained}
    try:
        with no_download():
            data = load(config)
    except (StriateError, OSError) as error:
        return None, f"{shortened(str(error))}."
    if {data.digest} != digests:
        return None, "what the study's source holds now are not the images of the runs (another digest)."
    part = data.open_test("to show mistakes on the page of the study")
    if not np.array_equal(part.labels, arm.labels):
        return None, "the test part is in another order than the answers."
    return part.images, ""
