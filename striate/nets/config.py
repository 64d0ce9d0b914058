"""A network as data: the record behind the key `network` of a study file.

`resolve` gives the shape and the settings of each layer, `pytorch.build` makes the torch module. No torch here.
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
from striate.nets import user_code
from striate.nets.layers import Activation, Init, Layer, Norm, Position
from striate.nets.notation import MAX_LAYERS, parse, write
from striate.nets.notation.vocabulary import ALONE, KINDS
from striate.nets.zoo import NETWORKS, write_family

Head = Literal["classifier", "gap", "none"]
# A network is given by exactly one of these.
_SOURCES = ("layers", "family", "torchvision", "import_")
_FAMILY_KEYS = ("conv", "fc", "step", "depth", "block_depth", "filters", "skip")
# Settings of layers that Striate builds; they mean nothing for a module that somebody else has written.
_LAYER_KEYS = (
    "dims", "norm", "norm_groups", "norm_position", "activation", "init", "bias", "zero_bias", "width", "linear", "logit_scale"
)  # fmt: skip


class NetworkConfig(Record):
    """`layers` in the notation (or the name of a network), or a `family`, or a module of `torchvision` or your own.

    Norm and activation follow every conv layer and every fc layer except the last, the classifier: an fc layer with
    one unit per class, appended unless `head` is none (then the last layer gives the logits). `head: gap` averages each
    channel before it. What a layer sets for itself (`conv64:tanh`) overrides what is set here.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
    shorthand: ClassVar[str] = "layers"

    base: str = ""
    """A named network to start from (`striate networks`); the keys beside it change it."""
    layers: str = ""
    """The layers in the notation, or the name of a network (`striate networks` lists them)."""
    family: Literal["stack", "blocks", "shallow"] | None = None
    """Instead of layers: a network from a few numbers, so that a grid can cross them."""
    torchvision: str | None = None
    """Instead of layers: one of torchvision's classifiers, by its name there, made for your number of classes."""
    import_: str | None = Field(None, alias="import")
    """Instead of layers: your own, as `package.module:factory`, where calling the factory gives a torch module. It is looked for
    beside the study file, in the working directory and among installed packages; `folder/package.module:factory` names a folder."""

    conv: Whole | None = Field(None, ge=1, le=MAX_LAYERS)
    """stack: how many conv layers."""
    fc: Whole | None = Field(None, ge=1, le=MAX_LAYERS)
    """stack: how many fc layers, the classifier included."""
    step: Whole | None = Field(None, ge=1)
    """stack: the filters of the first layer; each layer has that many more than the one before."""
    depth: Whole | None = Field(None, ge=1, le=12)
    """blocks: how many blocks, each with a pool at its end and twice the filters of the one before."""
    block_depth: Whole | None = Field(None, ge=1, le=MAX_LAYERS)
    """blocks: how many conv layers in each."""
    filters: Whole | None = Field(None, ge=1)
    """blocks, shallow: the filters of the first conv layer."""
    skip: Flag | None = None
    """blocks: whether a block of two or more conv layers adds its input to its output."""

    args: dict[str, Any] = {}
    """import: the arguments of the factory; it also gets `classes` and `input_shape` if it has parameters of these names."""
    pretrained: Flag | str = False
    """torchvision: true for its best ImageNet weights; or, also for your own module, the path of a file of weights."""
    freeze: str = "none"
    """What does not learn: `none`, `all-but-head`, or `up-to LAYER`, that layer included."""

    dims: Literal[2, 3] = 2
    """3 reads the image, channels x height x width, as a volume 1 x height x width x channels."""
    norm: Norm = "none"
    """The normalization of each conv and fc layer but the last."""
    norm_groups: Whole = Field(8, ge=1)
    """The number of groups into which group normalization divides the channels."""
    norm_position: Position = "before"
    """Where the norm stands: before or after the activation."""
    activation: Activation = "relu"
    """The activation of each conv and fc layer but the last."""
    init: Init = "default"
    """How the initial weights are drawn; default is torch's own way."""
    bias: Flag = True
    """Whether conv and fc layers have one; the classifier always does."""
    zero_bias: Flag = False
    """Whether biases start at zero; torch draws small random numbers."""
    width: Number = Field(1.0, gt=0, le=1000)
    """The factor by which the filters and units of every layer are multiplied."""
    linear: Flag = False
    """Take out every part that is not linear: activations, max pools (averages instead), norms other than batch."""
    logit_scale: Number = Field(1.0, gt=0)
    """The factor by which the logits are multiplied; below 1 the last layer learns more slowly, so that a higher lr is stable."""
    head: Head = "classifier"
    """What follows the layers: an fc layer with a unit for each class, the same after averaging each channel, or nothing."""

    @model_validator(mode="before")
    @classmethod
    def _look_up_name(cls, value: Any) -> Any:
        """A name stands for its entry in the zoo; what is given beside the name overrides the entry."""
        fields = {"layers": value} if isinstance(value, str) else value
        if not isinstance(fields, dict):
            return fields
        key = "base" if fields.get("base") else "layers"
        name = str(fields.get(key)).strip()
        others = {other: item for other, item in fields.items() if other != key}
        if key == "base" and name not in NETWORKS:
            raise NetworkError(f"there is no network '{name:.40}'; {suggest(name, NETWORKS)}")
        if key == "base" and str(others.get("layers")).strip() in NETWORKS:
            raise NetworkError(f"base and layers both name a network, {name} and {others['layers']}; give one of them")
        if name in NETWORKS:
            # The result has no `base`, so a named network and the same one written out have one fingerprint.
            return {**NETWORKS[name].config, **others}
        return fields

    @field_validator("head", mode="before")
    @classmethod
    def _fc_is_the_classifier(cls, value: Any) -> Any:
        return "classifier" if value == "fc" else value

    @field_validator("layers")
    @classmethod
    def _check_layers(cls, text: str) -> str:
        """The layers in their one spelling."""
        word = text.strip()
        try:
            return write(parse(text)) if text else text
        except NetworkError:
            # One word that does not begin as a layer was meant as a name, or may have been.
            if not re.fullmatch(r"[a-z][\w-]*", word) or word.startswith((*KINDS, "res(")):
                raise
        suggestion = suggest(word, [*NETWORKS, *KINDS, *ALONE])
        raise NetworkError(f"'{word}' is neither a layer nor a named network; {suggestion}")

    @field_validator("freeze")
    @classmethod
    def _check_freeze(cls, text: str) -> str:
        words = " ".join(text.split())
        if words not in {"none", "all-but-head"} and not re.fullmatch(r"up-to \S+", words):
            raise NetworkError(f"must be none, all-but-head or 'up-to LAYER', got {text!r}")
        return words

    @field_validator("import_")
    @classmethod
    def _check_import(cls, text: str | None) -> str | None:
        if text is not None:
            user_code.Reference.of(text)
        return text

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        sources = [key.strip("_") for key in _SOURCES if getattr(self, key)]
        if len(sources) != 1:
            given = " and ".join(sources) or "none of them"
            raise NetworkError(f"give one of layers, family, torchvision and import, got {given}")
        self._refuse_keys_without_effect(sources[0])
        if self.family:
            parse(write_family(self.family, self.family_numbers))
        return self

    def _refuse_keys_without_effect(self, source: str) -> None:
        """A key that changes nothing would be reported as if it did."""
        allowed = {"torchvision": {"pretrained"}, "import": {"pretrained", "args"}, "family": set(_FAMILY_KEYS)}
        refused = {*_FAMILY_KEYS, "args", "pretrained"} - allowed.get(source, set())
        if self.is_foreign:
            refused |= {*_LAYER_KEYS, "head"}
        fields = type(self).model_fields
        for name in fields:
            if name in refused and getattr(self, name) != fields[name].default:
                raise NetworkError(f"{name} has no effect on a network given by {source}; leave it out")
        if self.import_ and self.pretrained is True:
            raise NetworkError("pretrained: true is for torchvision; for your own module give the path of its weights")

    @property
    def is_foreign(self) -> bool:
        """Whether the network is a torch module that somebody else has written; only torch can tell its shapes."""
        return bool(self.torchvision or self.import_)

    @property
    def family_numbers(self) -> dict[str, Any]:
        """The numbers of the family that were given."""
        return {name: value for name in _FAMILY_KEYS if (value := getattr(self, name)) is not None}

    @cached_property
    def parsed(self) -> tuple[Layer, ...]:
        """The layers as records, without the head; empty for a foreign module."""
        if self.is_foreign:
            return ()
        return parse(write_family(self.family, self.family_numbers) if self.family else self.layers)

    @property
    def title(self) -> str:
        """The network in a line: its layers, or the name of the module."""
        if self.torchvision:
            return f"{self.torchvision} of torchvision"
        return self.reference.title if self.reference else write(self.parsed)

    @property
    def reference(self) -> user_code.Reference | None:
        """The parts of `import`; None for another network."""
        return user_code.Reference.of(self.import_) if self.import_ else None

    def identity(self) -> dict[str, Any]:
        """A family counts as the layers it writes; a file of weights and a module by their contents (`weights_digest`, `code`)."""
        fields = {key: value for key, value in super().identity().items() if key not in {"family", *_FAMILY_KEYS}}
        if self.family:
            fields["layers"] = write(self.parsed)
        if isinstance(self.pretrained, str):
            fields["pretrained"] = "a file"
        if self.reference:
            fields["import_"] = self.reference.title
        return fields

    def without_places(self) -> Self:
        """The network without paths of this machine: of weights that it starts from, and of the folder of its module."""
        return self.replace(pretrained=False, **({"import_": self.reference.title} if self.reference else {}))

    def code(self) -> dict[str, str]:
        """What decides the module of `import`: digests of its files and versions of packages, by name; empty for another network.

        Raises:
            NetworkError: when there is no such module.
        """
        return user_code.find(self.reference).identity() if self.reference else {}

    def weights_digest(self) -> str:
        """SHA-256 of the file of weights that the network starts from; empty where there is none.

        Raises:
            NetworkError: for a file that cannot be read.
        """
        if not isinstance(self.pretrained, str):
            return ""
        path = Path(self.pretrained).expanduser()
        try:
            stat = path.stat()
            return _digest(path, stat.st_mtime_ns, stat.st_size)
        except OSError as error:
            raise NetworkError(f"pretrained: {path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    """Cached by the file's time and size, because every run of a plan asks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
