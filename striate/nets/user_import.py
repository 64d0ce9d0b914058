"""The import of a network's own code: exactly the text that was hashed, and again when that text has changed.

Python keeps a module that it has loaded, and bytecode by the second of a file's last change. Both could mix old code with new in one study.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any
from weakref import WeakSet

from striate.nets.user_code import CodeFile, UserCode


def load(code: UserCode) -> ModuleType:
    """The module of `code`, imported unless it is loaded already with this text. Raises whatever importing it raises.

    What somebody else has imported under these names stays theirs.
    """
    known = {name: _LOADED[name] for name in code.files if name in _LOADED}
    if code.module in known and all(known[name][1] == code.files[name] for name in known):
        return known[code.module][0]
    for name in known:
        del _LOADED[name]
    # An extension cannot be loaded twice.
    names = [name for name, file in code.files.items() if file.content is None or file.path.suffix == ".py"]
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    try:
        with _FINDER.first(code.files):
            return importlib.import_module(code.module)
    finally:
        sys.modules.update({name: module for name, module in before.items() if module not in _MADE})


# The modules that were loaded here last, and from what; and all that were made here.
_LOADED: dict[str, tuple[ModuleType, CodeFile]] = {}
_MADE: WeakSet[ModuleType] = WeakSet()


class _Loader(SourceFileLoader):
    """Runs the text that it is given, without bytecode."""

    def __init__(self, name: str, file: CodeFile) -> None:
        super().__init__(name, str(file.path))
        self._file = file

    def get_data(self, path: str) -> bytes:
        is_text = path == str(self._file.path) and self._file.content is not None
        return self._file.content if is_text and self._file.content is not None else super().get_data(path)

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError("bytecode is neither read nor written")

    def exec_module(self, module: ModuleType) -> None:
        _MADE.add(module)
        super().exec_module(module)
        _LOADED[self.name] = (module, self._file)


class _Finder(MetaPathFinder):
    """Finds the modules of the networks that were asked for; those that are imported later, in a forward pass, where Python finds none."""

    is_of_user_code = True

    def __init__(self) -> None:
        self._files: dict[str, CodeFile] = {}

    @contextmanager
    def first(self, files: Mapping[str, CodeFile]) -> Iterator[None]:
        """Inside, these files come before all others; afterwards after them."""
        self._files |= files
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            sys.meta_path.append(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        if file is None:
            return None
        if file.content is None:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(file.path)]
            return spec
        if file.path.suffix != ".py":
            return spec_from_file_location(fullname, file.path)
        return spec_from_file_location(fullname, file.path, loader=_Loader(fullname, file))


_FINDER = _Finder()
