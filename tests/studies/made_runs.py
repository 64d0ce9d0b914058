"""A scheduler that trains nothing: it writes finished runs whose test accuracies a test decides."""

import numpy as np

from striate.runs import DataFacts, EpochRow, RunWriter, SplitScores, Summary, layout
from tests.contracts.scheduler import InlineScheduler

IMAGES, CLASSES = 60, 3


class Recorder(InlineScheduler):
    """`accuracy(arm, seed)`: a share, which of the test images are right, or None for a run that fails."""

    def __init__(self, accuracy) -> None:
        self.accuracy, self.stages = accuracy, []

    def run(self, tasks, should_stop=lambda: False):
        self.stages.append([task.label for task in tasks])
        for task in tasks:
            write(task, self.accuracy(task.folder.parent.name, task.job.seed))
        yield from ()


def write(task, accuracy) -> None:
    """The run of `task`, of two epochs."""
    with RunWriter(task.folder, task.job) as writer:
        if accuracy is None:
            writer.finish(Summary.failed("planted"))
            return
        right = np.arange(IMAGES) < round(accuracy * IMAGES) if isinstance(accuracy, float) else accuracy
        labels = np.arange(IMAGES) % CLASSES
        answers = np.where(right, labels, (labels + 1) % CLASSES)
        share = float(right.mean())
        for epoch in (1, 2):
            writer.append(
                EpochRow(
                    epoch=epoch, validation_accuracy=share * epoch / 2, images_per_second=1000.0, seconds=epoch * share
                )
            )
        writer.save(layout.PREDICTIONS, lambda path: _predictions(path, answers, labels))
        confusion = np.zeros((CLASSES, CLASSES), int)
        np.add.at(confusion, (labels, answers), 1)
        test = SplitScores(
            per_class=tuple(confusion.diagonal() / confusion.sum(1)), confusion=tuple(map(tuple, confusion.tolist()))
        )
        writer.finish(
            Summary(
                state="finished",
                epochs=2,
                seconds=10 * share,
                parameters=10,
                classes=CLASSES,
                validation_accuracy=share,
                test_accuracy=share,
                test_loss=1 - share,
                test_images=IMAGES,
                test=test,
                data=DataFacts(classes=("class 0", "class 1", "class 2"), test_digest="same"),
            )
        )


def _predictions(path, answers, labels) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, test_logits=np.eye(CLASSES)[answers], test_labels=labels)
