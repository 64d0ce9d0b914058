"""The records of a run folder: what decides a run, an epoch's numbers, how the run ended, what it was made with.

Each is read from its file once, checked, and stays this record from there on. A field has the name of its key in the file.
"""

from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
)

from striate.core.records import Flag, Number, Record, Whole, fingerprint
from striate.data import DataConfig
from striate.nets import NetworkConfig
from striate.recipes import Recipe


class Job(Record):
    """What decides a run. The same job gives the same run, wherever the images are and whatever the device.

    `digest` identifies the images and labels by their content, so it replaces the path that the fingerprint of `data`
    leaves out. `weights` does the same for a file of weights that the network starts from, `code` for the modules of a
    network of the user's own (digests and versions by name; empty for every other network). `watch_test` and
    `watch_train` decide what is measured in each epoch, and no weights.
    """

    data: DataConfig
    digest: str
    network: NetworkConfig
    weights: str = ""
    code: dict[str, str] = {}
    recipe: Recipe
    seed: Whole = Field(ge=0)
    watch_test: Flag = False
    watch_train: Flag = False

    @property
    def fingerprint(self) -> str:
        return fingerprint(self)


class EpochRow(Record):
    """A line of metrics.jsonl. Accuracies are shares (0.87), losses are mean cross-entropies.

    None: not measured, or not a finite number. Columns that a newer version added are kept.
    """

    model_config = ConfigDict(extra="allow")

    epoch: Whole
    train_loss: Number | None = (
        None  # running over the epoch, on the augmented images; the only loss with label smoothing
    )
    train_accuracy: Number | None = None
    validation_loss: Number | None = None
    validation_accuracy: Number | None = None
    validation_balanced_accuracy: Number | None = None  # the mean of the accuracies of the classes
    # At the end of the epoch, of the plain training images and of the test images: where the study watches them.
    train_eval_loss: Number | None = None
    test_loss: Number | None = None
    train_eval_accuracy: Number | None = None
    test_accuracy: Number | None = None
    learning_rate: Number | None = None  # of the last step
    gradient_norm: Number | None = None  # mean over the steps where it was measured, before clipping
    dead_units: Whole | None = None  # relu units that were 0 on every image of a sample
    images_per_second: Number | None = None  # of training
    seconds: Number = 0.0  # training and evaluation, since the start of the run

    def to_json(self) -> dict[str, Any]:
        """The line as JSON data; a split that is not watched has no columns, nor has a line of an older version newer ones."""
        row = self.model_dump(mode="json")
        if "validation_balanced_accuracy" not in self.model_fields_set:
            del row["validation_balanced_accuracy"]
        if self.train_eval_accuracy is None:
            del row["train_eval_loss"], row["train_eval_accuracy"]
        if self.test_accuracy is None:
            del row["test_loss"], row["test_accuracy"]
        return row


class _OpenRecord(Record):
    """Keeps keys that it does not know, and writes what was given to it, without the defaults."""

    model_config = ConfigDict(extra="allow")

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class RunEnvironment(_OpenRecord):
    """env.json: the machine, versions, threads and precision that the numbers were made with.

    The fields are what every engine states; each adds keys of its own, such as the version of its library.
    """

    striate: str = ""
    python: str = ""
    numpy: str = ""
    platform: str = ""
    study_commit: str = ""
    engine: str = ""
    device: str = ""  # cpu, cuda or mps
    device_name: str = ""
    precision: str = ""
    precision_reason: str = ""  # what decided, where the recipe says auto
    convolution: str = ""  # winograd or direct; empty in earlier versions: direct with PyTorch, winograd with NumPy
    threads: int | None = None
    runs_at_once: int | None = None


class DataFacts(_OpenRecord):
    """The images that a run used, as far as a report needs them."""

    name: str = ""
    classes: tuple[str, ...] = ()
    train: int | None = None  # images in each split
    validation: int | None = None
    test: int | None = None
    shape: tuple[int, int, int] | None = None  # channels, height, width
    mean: tuple[float, ...] = ()  # of each channel over the training split, in units of 0 to 1
    std: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()  # what the user should know of how they were read
    digest: str = ""  # of all images and labels
    chance: float | None = None  # the share of the commonest class in validation
    class_sizes: tuple[int, ...] = ()  # training images of each class, where their numbers are very unequal
    bits: int | None = None  # used of the 16 bits of a channel, where images have so many
    validation_copies: int = 0  # drawn validation images that are, pixel by pixel, training images too
    test_digest: str = ""  # of the test images and labels; "" while the test part is closed


class SplitScores(_OpenRecord):
    """Scores of a network on a split, as shares."""

    per_class: tuple[float | None, ...] = ()  # accuracy of each class; None for a class without images
    balanced_accuracy: float | None = None  # the mean of per_class; None in summaries of older versions
    calibration_error: float | None = None  # None where a logit is not finite
    top5: float | None = None  # None up to five classes, where it would always be 1
    confusion: tuple[tuple[int, ...], ...] | None = None  # [i][j]: images of class i called j; None above 200 classes


State = Literal["finished", "diverged", "failed"]


class Summary(Record):
    """How a run ended. Accuracies are shares (0.87), seconds are those of training and evaluation."""

    state: State
    reason: str = ""  # why it failed or diverged, or why it may have stayed at chance
    stopped: str = ""  # what ended the training: all epochs done, or a condition of the recipe's `stop`
    epochs: int
    best_epoch: int | None = None
    seconds: float
    parameters: int
    classes: int
    validation_accuracy: float | None = None
    validation_loss: float | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    test_images: int = 0
    test_opened_because: str = ""
    test_watched: bool = False  # the test part was evaluated in every epoch
    at_chance: bool = False
    # {} in the file for None.
    validation: SplitScores | None = None
    test: SplitScores | None = None
    data: DataFacts | None = None

    @field_validator("validation", "test", "data", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == {} else value

    @field_serializer("validation", "test", "data", mode="wrap")
    def _none_is_empty(self, value: Any, handler: SerializerFunctionWrapHandler) -> Any:
        return {} if value is None else handler(value)

    @classmethod
    def failed(cls, reason: str) -> "Summary":
        """The summary of a run that an error ended."""
        return cls(state="failed", reason=reason, epochs=0, seconds=0, parameters=0, classes=0)


class ExplainedPicture(Record):
    """A picture of the inside of a network: a PNG file of the folder `explain`."""

    file: str
    title: str  # what it shows, in a sentence
    caption: str = ""
    width: Whole  # in pixels
    height: Whole


class ExplainedTable(Record):
    """Cells as text; the first column names its row."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class ExplainedSection(Record):
    """The pictures and numbers of one kind: filters, maps, patches, attribution or unit."""

    kind: str
    title: str
    text: tuple[str, ...] = ()  # paragraphs
    pictures: tuple[ExplainedPicture, ...] = ()
    tables: tuple[ExplainedTable, ...] = ()


class Explained(Record):
    """explain.json: what `striate explain` found, section by section, in the order of the page."""

    run: str  # the study, the arm and the seed
    weights: str  # the file that they are from
    digest: str  # of that file
    sections: tuple[ExplainedSection, ...] = ()

    def with_section(self, section: ExplainedSection, order: tuple[str, ...]) -> "Explained":
        """With this section in its place of `order`, instead of an older one of the same kind."""
        kept = [old for old in self.sections if old.kind != section.kind]
        sections = sorted([*kept, section], key=lambda each: order.index(each.kind))
        return self.replace(sections=tuple(sections))
