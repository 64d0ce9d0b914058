"""From YAML text and `key.sub=value` overrides to records, with the location of every value.

YAML is read by the rules of version 1.2 where 1.1 surprises: `1e-3` is a number, `on` and `no` are words, and
a key given twice is an error. Every error names the location (a line of a file, or the command line), the key,
the rule, the value, and the nearest value that would be right.
"""

import difflib
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from striate.core.errors import ConfigError
from striate.core.records import Record

Keys = tuple[str | int, ...]
R = TypeVar("R", bound=Record)


# A study file has some hundred values. Beyond these limits it is a mistake, or made to keep the reader busy.
MOST_BYTES = 1_000_000
MOST_LEVELS = 50
MOST_VALUES = 10_000
MOST_CHOICES = 30  # that an error lists
MOST_DIGITS = 18  # of a whole number, which fits in 64 bits then

_TOO_DEEP = f"values are nested more than {MOST_LEVELS} levels deep"
_TOO_MANY = f"there are more than {MOST_VALUES:,} values"
_TAGS = {
    "map": "keys and values",
    "seq": "a list",
    "str": "text",
    "int": f"a whole number of at most {MOST_DIGITS} digits, or text in quotes",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


@dataclass(frozen=True)
class Document:
    """Plain data, and for each key path the words that say where it was written."""

    data: Any
    name: str
    locations: Mapping[Keys, str] = field(default_factory=dict)
    replaced: frozenset[Keys] = frozenset()  # what overrides gave as a whole

    def location(self, keys: Keys) -> str:
        """Where `keys`, or the nearest thing around it, was written: "study.yaml, line 3"."""
        for end in range(len(keys), -1, -1):
            if keys[:end] in self.locations:
                return self.locations[keys[:end]]
        return self.name


def read(path: Path) -> Document:
    """The YAML file at `path`.

    Raises:
        ConfigError: for a file that cannot be read, is larger than 1 MB or is not a document (see `parse`).
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError(f"{path}: is larger than {MOST_BYTES // 10**6} MB, which no study file is")
        text = content.decode("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: a study file is UTF-8 text, and byte {error.start} is not") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    return parse(text, path.name)


def parse(text: str, name: str) -> Document:
    """YAML text; `name` is what errors call it.

    Raises:
        ConfigError: for text that is no YAML, is no mapping, or exceeds a limit: 50 levels, 10,000 values with those
            that aliases repeat, 18 digits in a whole number.
    """

    def locate(line: int) -> str:
        return f"{name}, line {line + 1}"

    node, reader = _compose(text, locate), _NodeReader(locate)
    data = {} if node is None else reader.read(node)
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: must be keys and values (question: ..., data: ...), got {_show(data)}")
    return Document(data, name, {(): name, **reader.locations})


def _compose(text: str, locate: Callable[[int], str]) -> yaml.Node | None:
    """The root node of `text`; `locate` puts a line, from 0, into words."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        location = locate(text.count("\n", 0, error.position))
        raise ConfigError(f"{location}: not valid YAML: the character {chr(error.character)!a}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context
        rule = problem if problem in (_TOO_DEEP, _TOO_MANY) else f"not valid YAML: {problem}"
        raise ConfigError(f"{locate(mark.line if mark else 0)}: {rule}") from error
    return node


def assignment(text: str) -> tuple[str, Any]:
    """`key.sub=value` as given on the command line; the value is read as YAML.

    Raises:
        ConfigError: for text without a key, or a value that is no YAML or exceeds a limit.
    """
    key, sign, value = text.partition("=")
    key = key.strip()
    if not sign or not key or not all(key.split(".")):
        raise ConfigError(f"on the command line: an override is written key.sub=value, got {text!r}")
    name = f"on the command line: {key}"
    node = _compose(value, lambda line: name)
    return key, None if node is None else _NodeReader(lambda _: name).read(node)


def override(document: Document, model: type[Record], changes: Mapping[str, Any], location: str) -> Document:
    """`document` with the value at each dotted key replaced; `location` is where the changes were written.

    Where a record is written short (`data: cifar10`) and a key inside it is set (`data.limit`), it is
    written out first, so both say what they seem to say.
    """
    data, locations = document.data, dict(document.locations)
    for dotted, value in changes.items():
        keys = tuple(dotted.split("."))
        if len(keys) > MOST_LEVELS:
            raise ConfigError(f"{location}: {_TOO_DEEP}")
        data = _with_value(data, keys, value, model, f"{location}: {dotted}")
        for inside in [path for path in locations if path[: len(keys)] == keys]:
            del locations[inside]
        locations[keys] = location
    given = {tuple(dotted.split(".")) for dotted in changes}
    return replace(document, data=data, locations=locations, replaced=document.replaced | given)


def build(model: type[R], document: Document) -> R:
    """The record that `document` describes.

    Raises:
        ConfigError: for the first error, with its location.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        # An unknown key is often why another is missing, so it comes first.
        first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        raise ConfigError(explain(first, model, document)) from error


def explain(error: ErrorDetails, model: type[Record], document: Document) -> str:
    """An error of pydantic as a sentence: location, key, rule, value."""
    keys: Keys = error["loc"]
    dotted = ".".join(str(key) for key in keys)
    location = document.location(keys)
    got = _show(error["input"])
    where = f"{location}: {dotted}" if dotted else location
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: unknown key; {suggest(str(keys[-1]), _names_at(model, keys[:-1]))}"
        case "missing":
            return f"{where}: is missing{_whole_hint(keys, document)}"
        case "value_error":
            return f"{where}: {error['ctx']['error']}{_whole_hint(keys, document)}"
        case "int_type" | "int_from_float" | "int_parsing":
            return f"{where}: must be a whole number, got {got}"
        case "float_type" | "float_parsing" | "finite_number":
            return f"{where}: must be a number, got {got}"
        case "string_type":
            return f"{where}: must be text, got {got}" + _quote_hint(error["input"])
        case "bool_type" | "bool_parsing":
            return f"{where}: must be true or false, got {got}"
        case "literal_error":
            return f"{where}: must be one of {error['ctx']['expected']}, got {got}"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{where}: must be keys and values, got {got}"
        case "list_type" | "tuple_type":
            return f"{where}: must be a list, got {got}"
    rule = error["msg"].removeprefix("Input should be ").rstrip(".")
    return f"{where}: must be {rule}, got {got}"


def _whole_hint(keys: Keys, document: Document) -> str:
    """The cure for `network: {norm: batch}` where `network.norm: batch` was meant."""
    if keys[:1] not in document.replaced or not isinstance(document.data[keys[0]], dict):
        return ""
    return f"; '{keys[0]}' was given as a whole: write '{keys[0]}.KEY: value' to change one key of it"


def suggest(word: str, choices: typing.Iterable[str]) -> str:
    """The choice nearest to `word` as a question, or the list of choices, of many the first ones."""
    names = sorted(choices)
    by_lower = {name.lower(): name for name in names}  # a wrong case is no distance
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{by_lower[near[0]]}'?"
    rest = f", ... ({len(names):,} in all)" if len(names) > MOST_CHOICES else ""
    return f"known here: {', '.join(names[:MOST_CHOICES])}{rest}"


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema for plain scalars: `1e-3` is a number, and only true and false are boolean.

    Composing stops at the limits, so that a file of a megabyte costs no minutes.
    """

    yaml_implicit_resolvers = {}  # not those of YAML 1.1

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        self._values += not is_key
        self._depth += 1
        for count, most, rule in ((self._depth, MOST_LEVELS, _TOO_DEEP), (self._values, MOST_VALUES, _TOO_MANY)):
            if count > most:
                raise yaml.MarkedYAMLError(problem=rule, problem_mark=self.peek_event().start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _kind, _pattern in {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "null": r"~|null|Null|NULL|",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), None)


class _NodeReader:
    """Plain data from YAML nodes; collects the location of each key in `locations`.

    ruamel.yaml keeps positions too, but replacing this takes as much code: its values are of types of its own, it reads
    1_000, 0x1F and dates as YAML 1.1 does, applies merge keys without their position, and turns an alias inside what
    it repeats into None.
    """

    def __init__(self, locate: Callable[[int], str]) -> None:
        self._locate = locate
        self._values = 0
        self._around: list[yaml.Node] = []  # the nodes that contain the present one
        self.locations: dict[Keys, str] = {}

    def read(self, node: yaml.Node, keys: Keys = ()) -> Any:
        self._values += 1  # an alias counts as what it repeats
        for count, most, rule in ((self._values, MOST_VALUES, _TOO_MANY), (len(keys), MOST_LEVELS - 1, _TOO_DEEP)):
            if count > most:
                # By the key at the top: the node itself may stand elsewhere, as what an alias repeats.
                location = self.locations.get(keys[:1]) or self._locate(node.start_mark.line)
                raise ConfigError(f"{location}: {keys[0]}: {rule}, with what aliases repeat")
        if node in self._around:
            raise self._error(node, (), "an alias stands inside what it repeats")
        if (tag := node.tag.removeprefix("tag:yaml.org,2002:")) not in _TAGS:
            raise self._error(node, keys, f"the tag {tag} is not read here; remove it")
        self._around.append(node)
        value = self._content(node, keys)
        self._around.pop()
        return value

    def _content(self, node: yaml.Node, keys: Keys) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*keys, index)) for index, item in enumerate(node.value)]
        kind = node.tag.rpartition(":")[2]
        try:
            return _scalar(kind, node.value)
        except ValueError as error:
            text = node.value if len(node.value) <= 40 else f"{node.value[:37]}..."
            raise self._error(node, keys, f"must be {_TAGS[kind]}, got {text!r}") from error

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, (), "a key must be a word")
            key = key_node.value
            if key == "<<":
                raise self._error(key_node, (key,), "merge keys are not read here; write the values out")
            if key in content:
                raise self._error(key_node, (*keys, key), "is given twice; keep one of them")
            # A dotted key is one key to YAML and a path to us; both spellings find the line.
            self.locations[(*keys, key)] = self.locations[(*keys, *key.split("."))] = self._locate(
                key_node.start_mark.line
            )
            content[key] = self.read(value_node, (*keys, key))
        return content

    def _error(self, node: yaml.Node, keys: Keys, rule: str) -> ConfigError:
        dotted = "".join(f"{key}." for key in keys)[:-1]
        location = self._locate(node.start_mark.line)
        return ConfigError(f"{location}: {dotted}: {rule}" if dotted else f"{location}: {rule}")


def _scalar(kind: str, text: str) -> Any:
    match kind:
        case "int":
            if len(text.lstrip("+-")) > MOST_DIGITS:
                raise ValueError
            return int(text)  # decimal: YAML 1.1 would read 010 as 8
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        case "bool":
            if text.lower() not in {"true", "false"}:
                raise ValueError
            return text.lower() == "true"
        case "null":
            return None
    return text


def dump(data: Any) -> str:
    """Data as YAML text that `parse` reads back as the same data."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would take for a number: '08' and '1e5' are words only in quotes."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def _with_value(data: Any, keys: tuple[str, ...], value: Any, model: Any, where: str) -> Any:
    """A copy of `data` with the value at `keys` replaced; `model` knows which records are written short."""
    if not keys:
        return value
    short = getattr(model, "shorthand", None)
    if isinstance(data, str) and short:
        data = {short: data}
    if data is not None and not isinstance(data, dict):
        raise ConfigError(f"{where}: cannot set '{keys[0]}' inside {_show(data)}")
    data = data or {}
    inner = _field_model(model, keys[0])
    return {**data, keys[0]: _with_value(data.get(keys[0]), keys[1:], value, inner, where)}


def _field_model(model: Any, name: str) -> Any:
    """The record class that a field holds, if it holds one."""
    fields = getattr(model, "model_fields", {})
    if name not in fields:
        return None
    annotation = fields[name].annotation
    options = (
        typing.get_args(annotation)
        if typing.get_origin(annotation) in (typing.Union, types.UnionType)
        else [annotation]
    )
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)


def _names_at(model: Any, keys: Keys) -> list[str]:
    for key in keys:
        model = _field_model(model, str(key))
    # A field whose name Python reserves (import) is written by its alias.
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]


def _show(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _quote_hint(value: Any) -> str:
    return f"; put it in quotes: '{value}'" if isinstance(value, int | float) and not isinstance(value, bool) else ""
