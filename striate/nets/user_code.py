"""The code of a network of the user's own: where its module is, and what of it decides a run.

`import: package.module:factory` is looked for in the folder that is given with it (a study file's own), then in the working directory,
then where Python looks. What decides a run is the text of the module and of all modules that it imports, down to installed
packages, which count by their version. The imports are read, not executed, so one by a computed name is not found.
"""

import ast
import hashlib
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.metadata import packages_distributions, version
from pathlib import Path

from striate.core.errors import NetworkError

_REFERENCE = re.compile(
    r"(?:(?P<folder>.*)[/\\])?(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<factory>[A-Za-z_]\w*)"
)
# What every network is computed with: their versions are in env.json, and no fingerprint depends on them.
_COMMON = frozenset({"striate", "torch", "torchvision", "numpy"})
_DIGITS = 16  # of a SHA-256


@dataclass(frozen=True)
class Reference:
    """`folder/package.module:factory`; the folder may be empty."""

    folder: str
    module: str
    factory: str

    @classmethod
    def of(cls, text: str) -> "Reference":
        """The parts of `text`.

        Raises:
            NetworkError: for text of another form.
        """
        match = _REFERENCE.fullmatch(text)
        if not match:
            raise NetworkError(f"is written package.module:factory, got {text!r:.80}")
        return cls(match["folder"] or "", match["module"], match["factory"])

    @property
    def title(self) -> str:
        return f"{self.module}:{self.factory}"


@dataclass(frozen=True)
class CodeFile:
    """A module's file and its content; a package without an `__init__.py` is a folder without content."""

    path: Path
    content: bytes | None
    is_package: bool

    @property
    def digest(self) -> str:
        """Of the text with plain line ends, which version control may change."""
        text = (self.content or b"").replace(b"\r\n", b"\n")
        return hashlib.sha256(text).hexdigest()[:_DIGITS]


@dataclass(frozen=True)
class UserCode:
    """The modules that a network is made from, by their names, and the installed packages that they import, with their versions."""

    module: str
    files: Mapping[str, CodeFile]
    packages: Mapping[str, str]

    def identity(self) -> dict[str, str]:
        """What decides a run: a digest for each module, a version for each package."""
        files = {name: file.digest for name, file in self.files.items() if file.content is not None}
        return dict(sorted((files | {name: f"version {number}" for name, number in self.packages.items()}).items()))


def beside(text: str, folders: tuple[Path, ...]) -> str:
    """A reference with the absolute folder among `folders` that has its module; as it is, if none has, or if it is none."""
    match = _REFERENCE.fullmatch(text)
    for folder in folders if match else ():
        assert match is not None
        place = folder / (match["folder"] or "")
        if _way(place, match["module"]):
            return f"{place.resolve()}/{match['module']}:{match['factory']}"
    return text


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The modules and packages that are not the same, by name."""
    return [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]


def find(reference: Reference) -> UserCode:
    """The code that `reference` means now.

    Raises:
        NetworkError: when there is no such module, or its name is taken by one of Python's own or of an installed package.
    """
    importlib.invalidate_caches()
    places = [*([Path(reference.folder)] if reference.folder else []), Path.cwd()]
    top = reference.module.partition(".")[0]
    for place in places:
        if _way(place, reference.module):
            _check_free(top, place)
            return _Collector(place).code(reference.module)
    spec = _spec(top)
    root = _root(spec) if spec else None
    is_a_file_there = root and top not in sys.stdlib_module_names and not _is_installed_at(root)
    if spec is None or (is_a_file_there and root and not _way(root, reference.module)):
        where = f"in {reference.folder}, in" if reference.folder else "beside the study file, in"
        raise NetworkError(
            f"import: Python finds no module '{reference.module}' {where} the working directory or among installed packages; "
            "put its file there, or name its folder in PYTHONPATH"
        )
    return _Collector(None).code(reference.module)


def _check_free(top: str, place: Path) -> None:
    """Refuse a name under which Python has loaded something else that the whole program uses."""
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if top in sys.stdlib_module_names or top in _COMMON or (loaded and _is_installed_at(Path(loaded))):
        raise NetworkError(f"import: {place / top} has the name of an installed module, '{top}'; rename yours")


class _Collector:
    """Follows the imports of a module from file to file."""

    def __init__(self, root: Path | None) -> None:
        self._roots = [] if root is None else [root]
        self._files: dict[str, CodeFile] = {}
        self._packages: dict[str, str] = {}
        self._elsewhere: set[str] = set()  # names of packages that were looked for already

    def code(self, module: str) -> UserCode:
        """The code of `module`."""
        waiting = [module]
        while waiting:
            for name, file in self._new_files(waiting.pop()):
                self._files[name] = file
                waiting += _imports(name, file)
        return UserCode(module, self._files, self._packages)

    def _new_files(self, name: str) -> Iterator[tuple[str, CodeFile]]:
        """The files that importing `name` runs, as far as it is a module and not a name in one, without those that are known."""
        top = name.partition(".")[0]
        if not top or top in sys.stdlib_module_names or top in _COMMON:
            return
        ways = (_longest_way(root, name) for root in self._roots)
        # A folder without code may have the name of an installed package.
        way = next((way for way in ways if any(file.content is not None for _, file in way)), None)
        if way is None and (root := self._root_elsewhere(top)):
            way = _longest_way(root, name)
        yield from ((known, file) for known, file in way or () if known not in self._files)

    def _root_elsewhere(self, top: str) -> Path | None:
        """The folder that has `top` where Python looks; None for an installed package, whose version is noted."""
        if top in self._elsewhere:
            return None
        self._elsewhere.add(top)
        spec = _spec(top)
        if spec is None:
            return None
        if names := _installed(spec):
            self._packages |= {name: version(name) for name in names}
            return None
        root = _root(spec)
        if root:
            self._roots.append(root)
        return root


def _imports(name: str, file: CodeFile) -> Iterator[str]:
    """The names that a module imports, with those that it imports from packages, which may be modules."""
    try:
        tree = ast.parse(file.content or b"")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # importing it will say so; of an extension there is no text
    package = name if file.is_package else name.rpartition(".")[0]
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*parents, *([node.module] if node.module else [])])
                yield from (f"{base}.{alias.name}" for alias in node.names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(text)), *_],
            ) if not text.startswith("."):
                yield text


def _way(root: Path, module: str) -> list[tuple[str, CodeFile]]:
    """The packages on the way to `module` below `root`, and the module itself; empty where it is not there."""
    way = _longest_way(root, module)
    return way if way and way[-1][0] == module and way[-1][1].content is not None else []


def _longest_way(root: Path, name: str) -> list[tuple[str, CodeFile]]:
    """The packages and the module that the first parts of `name` mean below `root`."""
    way: list[tuple[str, CodeFile]] = []
    parts, folder = name.split("."), root
    for end, part in enumerate(parts, 1):
        file = _entry(folder, part)
        if file is None:
            break
        way.append((".".join(parts[:end]), file))
        if not file.is_package:
            break
        folder = folder / part
    return way


def _entry(folder: Path, name: str) -> CodeFile | None:
    """The module `name` of a folder, in Python's order."""
    try:
        if (path := folder / name / "__init__.py").is_file():
            return CodeFile(path, path.read_bytes(), True)
        for suffix in (*EXTENSION_SUFFIXES, ".py"):
            if (path := folder / f"{name}{suffix}").is_file():
                return CodeFile(path, path.read_bytes(), False)
        return CodeFile(folder / name, None, True) if (folder / name).is_dir() else None
    except OSError as error:
        raise NetworkError(f"import: {error.filename} cannot be read ({error.strerror})") from error


def _spec(top: str) -> ModuleSpec | None:
    """Where Python finds a module that is not imported yet; not by `find_spec`, which answers with what is loaded already."""
    for finder in sys.meta_path:
        find_spec = None if getattr(finder, "is_of_user_code", False) else getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find_spec(top, None) if find_spec else None
        if spec is not None:
            return spec
    return None


def _installed(spec: ModuleSpec) -> list[str]:
    """The names of the distributions that the module is part of; empty for a file that is just there."""
    place = _root(spec)
    if place is None or not _is_installed_at(place):
        return []
    return list(dict.fromkeys(_distributions().get(spec.name, [])))


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _root(spec: ModuleSpec) -> Path | None:
    """The folder in which Python found a module; None for one that is part of the interpreter."""
    locations = [*(spec.submodule_search_locations or [])]
    if locations:
        return Path(locations[0]).parent
    return Path(spec.origin).parent if spec.has_location and spec.origin else None


def _is_installed_at(path: Path) -> bool:
    return bool({"site-packages", "dist-packages"} & set(path.parts))
