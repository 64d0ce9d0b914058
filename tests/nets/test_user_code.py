"""Which code a user's network has: found in its places, hashed with what it imports, and imported as it was hashed."""

import os
import sys

import pytest

from striate.core.errors import NetworkError
from striate.core.records import fingerprint
from striate.nets import NetworkConfig, user_import
from striate.nets.user_code import Reference, beside, differences, find

MODULE = "from torch import nn\nfrom {other} import width\ndef small(classes):\n    return nn.Linear(width, classes)\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory; what a test has imported is forgotten."""
    before = dict(sys.modules)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    yield
    for name in sys.modules.keys() - before.keys():
        if name.startswith(("mine", "pack", "other")):
            del sys.modules[name]


def write(folder, **texts):
    for name, text in texts.items():
        path = folder / f"{name.replace('__slash__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def code(folder, module="mine"):
    return find(Reference.of(f"{folder}/{module}:small"))


def names(folder, module="mine"):
    return sorted(code(folder, module).identity())


def test_a_module_is_found_beside_the_study_and_in_the_working_directory(tmp_path):
    write(tmp_path / "study", mine="")
    write(tmp_path / "cwd", mine="", only_here="")
    places = (tmp_path / "study", tmp_path / "cwd")
    assert beside("mine:small", places) == f"{tmp_path / 'study'}/mine:small"
    assert beside("only_here:small", places) == f"{tmp_path / 'cwd'}/only_here:small"
    assert beside("nowhere:small", places) == "nowhere:small"
    write(tmp_path / "study" / "models", other="")
    assert beside("models/other:small", places) == f"{tmp_path / 'study' / 'models'}/other:small"
    assert code(tmp_path / "gone", "only_here").files["only_here"].path == tmp_path / "cwd" / "only_here.py"


def test_the_folder_is_no_part_of_what_the_network_is():
    here, there = (
        NetworkConfig.model_validate({"import": f"{folder}mine:small"}) for folder in ("", "/somewhere/else/")
    )
    assert fingerprint(here) == fingerprint(there)
    assert here.title == there.title == "mine:small"


@pytest.mark.parametrize(
    "text", ["mine", "mine:", ":small", "mine:small.more", "1mine:small", "mine..x:small", "folder/:small"]
)
def test_another_form_is_refused(text):
    with pytest.raises(NetworkError, match=r"is written package.module:factory, got"):
        Reference.of(text)


IMPORTS = """
import other_a
from other_b import x as y, z
import pack.inner
try:
    import other_optional
except ImportError:
    pass
def later():
    import importlib
    return importlib.import_module("other_named")
import os, numpy, torch, yaml, not_installed_anywhere
"""


def test_what_it_imports_counts_down_to_installed_packages(tmp_path):
    write(
        tmp_path,
        mine=IMPORTS,
        other_a="from pack import deep",
        other_b="",
        other_optional="",
        other_named="",
        unrelated="",
    )
    write(tmp_path / "pack", __init__="from . import near", near="from .deep import leaf", inner="")
    write(tmp_path / "pack" / "deep", __init__="", leaf="from ... import pack\nfrom ..near import *")
    assert names(tmp_path) == [
        "PyYAML", "mine", "other_a", "other_b", "other_named", "other_optional", "pack", "pack.deep", "pack.deep.leaf",
        "pack.inner", "pack.near",
    ]  # fmt: skip
    assert code(tmp_path).identity()["PyYAML"].startswith("version ")


def test_any_change_of_that_code_is_another_identity_and_no_other_change_is(tmp_path):
    write(tmp_path, mine=MODULE.format(other="other"), other="width = 3", unrelated="")
    before = code(tmp_path).identity()
    write(tmp_path, unrelated="changed")
    (tmp_path / "other.py").write_bytes(b"width = 3")
    assert code(tmp_path).identity() == before
    write(tmp_path, other="width = 4")
    assert differences(before, code(tmp_path).identity()) == ["other"]
    (tmp_path / "mine.py").write_bytes((tmp_path / "mine.py").read_bytes().replace(b"\n", b"\r\n"))
    assert differences(before, code(tmp_path).identity()) == ["other"]


def test_a_folder_of_data_does_not_hide_an_installed_package(tmp_path):
    write(tmp_path, mine="import yaml")
    (tmp_path / "yaml").mkdir()
    assert names(tmp_path) == ["PyYAML", "mine"]
    assert user_import.load(code(tmp_path)).yaml.__file__


def test_a_package_without_init_is_found(tmp_path):
    write(tmp_path / "pack", models="from .parts import width", parts="width = 1")
    assert names(tmp_path, "pack.models") == ["pack.models", "pack.parts"]
    first = user_import.load(code(tmp_path, "pack.models"))
    assert first.width == 1
    assert user_import.load(code(tmp_path, "pack.models")) is first


@pytest.mark.parametrize(
    ("module", "file"), [("json", "json"), ("torch", "torch"), ("yaml", "yaml"), ("yaml.mine", "yaml/mine")]
)
def test_a_name_that_is_taken_is_refused(tmp_path, module, file):
    write(tmp_path, **{file.replace("/", "__slash__"): ""})
    with pytest.raises(NetworkError, match=r"has the name of an installed module, '.*'; rename yours"):
        code(tmp_path, module)


def test_an_installed_module_counts_by_its_version():
    assert list(find(Reference.of("yaml:load")).identity()) == ["PyYAML"]
    assert find(Reference.of("torchvision.models:resnet18")).identity() == {}


def test_what_is_changed_is_imported_again_even_within_a_second(tmp_path):
    write(tmp_path, mine=MODULE.format(other="other"), other="width = 3")
    stat = (tmp_path / "other.py").stat()
    first = user_import.load(code(tmp_path))
    assert first.width == 3
    assert user_import.load(code(tmp_path)) is first
    write(tmp_path, other="width = 4")  # as long as before, and of the same time
    os.utime(tmp_path / "other.py", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert user_import.load(code(tmp_path)).width == 4
    assert not list(tmp_path.rglob("*.pyc"))


def test_modules_of_one_name_in_two_folders_are_two(tmp_path):
    for number in (1, 2):
        write(tmp_path / str(number), mine=MODULE.format(other="other"), other=f"width = {number}")
    loaded = [user_import.load(code(tmp_path / str(number))).width for number in (1, 2, 1)]
    assert loaded == [1, 2, 1]


def test_what_somebody_else_had_imported_before_is_not_taken_for_what_the_file_has_now(tmp_path, monkeypatch):
    write(tmp_path, mine="width = 3")
    monkeypatch.syspath_prepend(tmp_path)
    import mine

    assert mine.width == 3
    write(tmp_path, mine="width = 4")
    assert user_import.load(find(Reference.of("mine:small"))).width == 4
    assert sys.modules["mine"] is mine


def test_an_import_in_the_forward_pass_runs_what_was_hashed(tmp_path):
    write(tmp_path, mine="def later():\n    from other_late import width\n    return width\n", other_late="width = 7")
    module = user_import.load(code(tmp_path))
    write(tmp_path, other_late="width = 8")
    assert module.later() == 7


@pytest.mark.parametrize("text", ["def f(:", "\0", "\ud800", "x = " + "(" * 5000])
def test_a_file_that_is_no_python_still_has_a_digest(tmp_path, text):
    (tmp_path / "mine.py").write_bytes(text.encode(errors="surrogatepass"))
    assert names(tmp_path) == ["mine"]


def test_modules_that_import_one_another_end(tmp_path):
    write(tmp_path, mine="import other", other="import mine")
    assert names(tmp_path) == ["mine", "other"]
