"""A network as data: what a study file says of it.

No torch here. `shapes` says what comes out of each layer, `torch_build` makes the module.
"""

import hashlib
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.core.records import Flag, Number, Record, Whole
from striate.nets.layers import Activation, Init, Layer, Norm, Position
from striate.nets.notation import parse, write
from striate.nets.notation.vocabulary import ALONE, KINDS
from striate.nets.zoo import NETWORKS, write_family

Head = Literal["classifier", "gap", "none"]
# The ways to say what a network is; each network has one.
_WAYS = ("layers", "family", "torchvision", "import_")
_NUMBERS = ("conv", "fc", "step", "depth", "block_depth", "filters", "skip")
# What holds for layers that we build, and has no meaning for a module that somebody else has built.
_OURS = (
    "dims", "norm", "norm_groups", "norm_position", "activation", "init", "bias", "zero_bias", "width", "linear", "logit_scale"
)  # fmt: skip


class NetworkConfig(Record):
    """`layers` in the notation (or the name of a network), or a `family`, or a module of `torchvision` or your own.

    Norm and activation follow every conv layer and every fc layer except the last, the classifier: an fc layer with
    one unit a class, appended unless `head` is none (then the last layer gives the logits). `head: gap` averages each
    channel before it. What a layer says for itself (`conv64:tanh`) goes before what is said here.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
    shorthand: ClassVar[str] = "layers"

    layers: str = ""
    """The layers in the notation, or the name of a network (`striate networks` lists them)."""
    family: Literal["stack", "blocks", "shallow"] | None = None
    """Instead of layers: a network from a few numbers, so that a grid can cross them."""
    torchvision: str | None = None
    """Instead of layers: one of torchvision's classifiers, by its name there, made for our number of classes."""
    import_: str | None = Field(None, alias="import")
    """Instead of layers: your own, as `package.module:factory`, where calling the factory gives a torch module."""

    conv: Whole | None = Field(None, ge=1)
    """stack: how many conv layers."""
    fc: Whole | None = Field(None, ge=1)
    """stack: how many fc layers, the classifier included."""
    step: Whole | None = Field(None, ge=1)
    """stack: the filters of the first layer; each layer has so many more than the one before."""
    depth: Whole | None = Field(None, ge=1, le=12)
    """blocks: how many blocks, each with a pool at its end and twice the filters of the one before."""
    block_depth: Whole | None = Field(None, ge=1)
    """blocks: how many conv layers in each."""
    filters: Whole | None = Field(None, ge=1)
    """blocks, shallow: the filters of the first conv layer."""
    skip: Flag | None = None
    """blocks: whether a block of two or more conv layers adds its input to its output."""

    args: dict[str, Any] = {}
    """import: what the factory is called with; `classes` and `input_shape` are given to it if it asks for them."""
    pretrained: Flag | str = False
    """torchvision: true for its best ImageNet weights; or, also for your own module, the path of a file of weights."""
    freeze: str = "none"
    """What does not learn: `none`, `all-but-head`, or `up-to LAYER`, that layer included."""

    dims: Literal[2, 3] = 2
    """3 reads the image, channels x height x width, as a volume 1 x height x width x channels."""
    norm: Norm = "none"
    """The normalization of each conv and fc layer but the last."""
    norm_groups: Whole = Field(8, ge=1)
    """How many groups group normalization makes of the channels."""
    norm_position: Position = "before"
    """Where the norm stands: before or after the activation."""
    activation: Activation = "relu"
    """The activation of each conv and fc layer but the last."""
    init: Init = "default"
    """How the initial weights are drawn; default is torch's own way."""
    bias: Flag = True
    """Whether conv and fc layers have one; the classifier always does."""
    zero_bias: Flag = False
    """Whether biases start at zero instead of small random numbers, which is torch's way."""
    width: Number = Field(1.0, gt=0)
    """What the filters and units of every layer are multiplied with."""
    linear: Flag = False
    """Take out every part that is not linear: activations, max pools (averages instead), norms other than batch."""
    logit_scale: Number = Field(1.0, gt=0)
    """What the logits are multiplied with; below 1 the last layer learns more gently, at high learning rates too."""
    head: Head = "classifier"
    """What follows the layers: an fc layer with a unit for each class, the same after averaging each channel, or nothing."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """A name stands for what the zoo says, except for what is said beside it."""
        said = {"layers": value} if isinstance(value, str) else value
        if isinstance(said, dict) and isinstance(name := said.get("layers"), str) and name.strip() in NETWORKS:
            return {**NETWORKS[name.strip()].config, **{key: item for key, item in said.items() if key != "layers"}}
        return said

    @field_validator("head", mode="before")
    @classmethod
    def _fc_is_the_classifier(cls, value: Any) -> Any:
        return "classifier" if value == "fc" else value

    @field_validator("layers")
    @classmethod
    def _readable(cls, text: str) -> str:
        word = text.strip()
        try:
            return write(parse(text)) if text else text
        except NetworkError:
            # One word that does not begin as a layer was meant as a name, or may have been.
            if not re.fullmatch(r"[a-z][\w-]*", word) or word.startswith((*KINDS, "res(")):
                raise
        known = suggest(word, [*NETWORKS, *KINDS, *ALONE])
        raise NetworkError(f"'{word}' is neither a layer nor a named network; {known}")

    @field_validator("freeze")
    @classmethod
    def _says_what(cls, text: str) -> str:
        words = " ".join(text.split())
        if words not in {"none", "all-but-head"} and not re.fullmatch(r"up-to \S+", words):
            raise NetworkError(f"must be none, all-but-head or 'up-to LAYER', got {text!r}")
        return words

    @field_validator("import_")
    @classmethod
    def _module_and_factory(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
            raise NetworkError(f"is written package.module:factory, got {text!r}")
        return text

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [way.strip("_") for way in _WAYS if getattr(self, way)]
        if len(ways) != 1:
            got = " and ".join(ways) or "none of them"
            raise NetworkError(f"say what the network is by one of layers, family, torchvision and import, got {got}")
        self._nothing_idle()
        if self.family:
            write_family(self.family, self.numbers)
        return self

    def _nothing_idle(self) -> None:
        """Refuse what would have no effect: it would be thought to have had one."""
        way = next(way.strip("_") for way in _WAYS if getattr(self, way))
        allowed = {"torchvision": {"pretrained"}, "import": {"pretrained", "args"}, "family": set(_NUMBERS)}
        idle = {*_NUMBERS, "args", "pretrained"} - allowed.get(way, set())
        if self.is_foreign:
            idle |= {*_OURS, "head"}
        fields = type(self).model_fields
        for name in fields:
            if name in idle and getattr(self, name) != fields[name].default:
                raise NetworkError(f"{name} has no effect on a network given by {way}; leave it out")
        if self.import_ and self.pretrained is True:
            raise NetworkError("pretrained: true is for torchvision; for your own module give the path of its weights")

    @property
    def is_foreign(self) -> bool:
        """Whether the network is a torch module that somebody else has written; then only torch can say its shapes."""
        return bool(self.torchvision or self.import_)

    @property
    def numbers(self) -> dict[str, Any]:
        """What was said of the family."""
        return {name: value for name in _NUMBERS if (value := getattr(self, name)) is not None}

    @cached_property
    def parsed(self) -> tuple[Layer, ...]:
        """The layers as records, without the head; none of a foreign module."""
        if self.is_foreign:
            return ()
        return parse(write_family(self.family, self.numbers) if self.family else self.layers)

    @property
    def title(self) -> str:
        """The network in a line: its layers, or where it is from."""
        if self.torchvision:
            return f"{self.torchvision} of torchvision"
        return self.import_ or write(self.parsed)

    def identity(self) -> dict[str, Any]:
        """A family is what it writes. Where a file of weights is does not count; a job counts what is in it (`weights_digest`)."""
        said = {key: value for key, value in super().identity().items() if key not in {"family", *_NUMBERS}}
        if self.family:
            said["layers"] = write(self.parsed)
        if isinstance(self.pretrained, str):
            said["pretrained"] = "a file"
        return said

    def weights_digest(self) -> str:
        """SHA-256 of the file of weights that the network starts from; empty where there is none.

        Raises:
            NetworkError: for a file that cannot be read.
        """
        if not isinstance(self.pretrained, str):
            return ""
        path = Path(self.pretrained).expanduser()
        try:
            now = path.stat()
            return _digest(path, now.st_mtime_ns, now.st_size)
        except OSError as error:
            raise NetworkError(f"pretrained: {path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    """Once for a file as it is: each run of a plan asks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
