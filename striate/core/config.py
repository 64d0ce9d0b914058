"""From YAML text and `key.sub=value` overrides to records, with the place of every value kept.

YAML is read by the rules of version 1.2 where 1.1 surprises: `1e-3` is a number, `on` and `no` are words, and
a key given twice is an error. Every complaint names the place (a line of a file, or the command line), the key,
the rule, what came, and the nearest thing that would have been right.
"""

import difflib
import re
import types
import typing
from collections.abc import Mapping
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


@dataclass(frozen=True)
class Document:
    """Plain data, and for each key path the words that say where it was written."""

    data: Any
    name: str
    places: Mapping[Keys, str] = field(default_factory=dict)
    replaced: frozenset[Keys] = frozenset()  # what overrides gave anew

    def place(self, keys: Keys) -> str:
        """Where `keys`, or the nearest thing around it, was written."""
        for end in range(len(keys), -1, -1):
            if keys[:end] in self.places:
                return self.places[keys[:end]]
        return self.name


def read(path: Path) -> Document:
    """The YAML file at `path`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: a study file is UTF-8 text, and byte {error.start} is not") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    return parse(text, path.name)


def parse(text: str, name: str) -> Document:
    """YAML text; `name` is what errors call it."""
    places: dict[Keys, str] = {(): name}
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = _plain(node, (), name, places) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{name}{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: not a study file: brackets within brackets without end") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: must be keys and values (question: ..., data: ...), got {_show(data)}")
    return Document(data, name, places)


def assignment(text: str) -> tuple[str, Any]:
    """`key.sub=value` as given on the command line; the value is read as YAML."""
    key, sign, value = text.partition("=")
    if not sign or not key.strip() or not all(key.split(".")):
        raise ConfigError(f"on the command line: an override is written key.sub=value, got {text!r}")
    try:
        node = yaml.compose(value, Loader=_Loader)
        return key.strip(), None if node is None else _plain(node, (), text, {})
    except yaml.YAMLError as error:
        raise ConfigError(f"on the command line: {key}: {value!r} is not valid YAML") from error


def override(document: Document, model: type[Record], changes: Mapping[str, Any], place: str) -> Document:
    """`document` with the value at each dotted key replaced.

    Where a record is written short (`data: cifar10`) and a key inside it is set (`data.limit`), it is
    written out first, so both say what they seem to say.
    """
    data, places = document.data, dict(document.places)
    for dotted, value in changes.items():
        keys = tuple(dotted.split("."))
        data = _replaced(data, keys, value, model, f"{place}: {dotted}")
        for inside in [known for known in places if known[: len(keys)] == keys]:
            del places[inside]
        places[keys] = place
    given = {tuple(dotted.split(".")) for dotted in changes}
    return replace(document, data=data, places=places, replaced=document.replaced | given)


def build(model: type[R], document: Document) -> R:
    """The record that `document` describes.

    Raises:
        ConfigError: for the first thing wrong, with its place.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        # An unknown key is often why another is missing, so it is told first.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise ConfigError(explain(first, model, document)) from error


def explain(error: ErrorDetails, model: type[Record], document: Document) -> str:
    """One of pydantic's errors as one of our sentences."""
    keys: Keys = error["loc"]
    dotted = ".".join(str(key) for key in keys)
    place = document.place(keys)
    got = _show(error["input"])
    where = f"{place}: {dotted}" if dotted else place
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: unknown key; {suggest(str(keys[-1]), _names_at(model, keys[:-1]))}"
        case "missing":
            return f"{where}: is missing{_whole(keys, document)}"
        case "value_error":
            return f"{where}: {error['ctx']['error']}{_whole(keys, document)}"
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


def _whole(keys: Keys, document: Document) -> str:
    """The cure for `network: {norm: batch}` where `network.norm: batch` was meant."""
    if keys[:1] not in document.replaced or not isinstance(document.data[keys[0]], dict):
        return ""
    return f"; '{keys[0]}' was given as a whole: write '{keys[0]}.KEY: value' to change one key of it"


def suggest(word: str, known: typing.Iterable[str]) -> str:
    """The nearest known word as a question, or the list of them."""
    names = sorted(known)
    by_lower = {name.lower(): name for name in names}  # a wrong case is no distance
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[near[0]]}'?" if near else f"known here: {', '.join(names)}"


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema for plain scalars: `1e-3` is a number, and only true and false are boolean."""

    yaml_implicit_resolvers = {}  # not those of YAML 1.1


for _kind, _pattern in {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "null": r"~|null|Null|NULL|",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), None)


def _plain(node: yaml.Node, keys: Keys, name: str, places: dict[Keys, str], around: tuple[yaml.Node, ...] = ()) -> Any:
    """Plain data from a YAML node, noting the line of each key."""
    if node in around:
        raise ConfigError(f"{name}, line {node.start_mark.line + 1}: an alias stands inside what it repeats")
    around = (*around, node)
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key, place = key_node.value, f"{name}, line {key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{place}: a key must be a word")
            if key == "<<":
                raise ConfigError(f"{place}: <<: merge keys are not read here; write the values out")
            if key in found:
                raise ConfigError(f"{place}: {'.'.join(map(str, (*keys, key)))}: is given twice; keep one of them")
            # A dotted key is one key to YAML and a path to us; both spellings find the line.
            places[(*keys, key)] = places[(*keys, *key.split("."))] = place
            found[key] = _plain(value_node, (*keys, key), name, places, around)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*keys, i), name, places, around) for i, item in enumerate(node.value)]
    return _scalar(node)


def dump(data: Any) -> str:
    """Data as YAML text that `parse` reads back as the same data."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would take for a number: '08' and '1e5' are words only in quotes."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def _scalar(node: yaml.Node) -> Any:
    try:
        return _number_or_word(node)
    except ValueError as error:
        raise ConfigError(
            f"line {node.start_mark.line + 1}: {node.value[:40]!r} is no {node.tag.rpartition(':')[2]}"
        ) from error


def _number_or_word(node: yaml.Node) -> Any:
    match node.tag.rpartition(":")[2]:
        case "int":
            return int(node.value)  # decimal: YAML 1.1 would read 010 as 8
        case "float":
            return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
        case "bool":
            return node.value.lower() == "true"
        case "null":
            return None
    return node.value


def _replaced(data: Any, keys: tuple[str, ...], value: Any, model: Any, where: str) -> Any:
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
    return {**data, keys[0]: _replaced(data.get(keys[0]), keys[1:], value, inner, where)}


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
