"""Promises of the page as a file: complete, escaped, offline, deterministic, small."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from markupsafe import Markup

from striate.core import config
from striate.core.errors import ReportError, StudyError
from striate.nets import NetworkConfig
from striate.nets.graph.from_layers import network_graph
from striate.nets.summary.summarize import count_parameters
from striate.nets.summary.table import layer_table
from striate.report import pages, svg
from striate.report.pages import build, write
from striate.report.study_facts import layer_tables, local_paths, study_yaml
from striate.report.wording import abbreviated, duration, shortened, signed
from striate.runs.files import write_json
from striate.runs.layout import slug
from striate.studies.results import Results
from striate.studies.study import read_study
from tests.report import folders
from tests.report.reading import Page

BANNED = ("significant", "proves", "outperform", "state of the art", "sota")


def test_every_section_is_there_in_order(two_page, troubled_page):
    for page in (two_page, troubled_page):
        sections = re.findall(r'<section id="(\w+)"', page)
        assert sections == [name for name, _ in pages.SECTIONS]
        assert re.findall(r'<li><a href="#(\w+)"', page) == sections


def test_the_same_bytes_twice(two, two_page):
    assert build(Results.read(two.folder)) == two_page


def test_written_beside_the_study(study_folder):
    results = Results.read(study_folder)
    assert write(results) == study_folder / "report.html"
    assert (study_folder / "report.html").read_text(encoding="utf-8") == build(results)


def test_what_a_study_says_is_escaped(tmp_path):
    bad = "<script>alert(1)</script>"
    folder = folders.write_study(
        tmp_path / "s",
        question=f"Is {bad} & co harmless?",
        arms={"plain": {}, bad: {"network.norm": "batch"}},
        compare=[f"{bad} - plain"],
    )
    for seed in range(3):
        folders.write_run(folder, "plain", seed, test=0.9)
        folders.write_run(folder, slug(bad), seed, test=0.95 - 0.01 * seed, reason=bad)
    source = build(Results.read(folder))
    page = Page(source)
    assert "<script" not in source
    assert f"Is {bad} & co harmless?" in page.text
    assert f"{bad} − plain" in page.text


@pytest.mark.parametrize("page", ["two_page", "troubled_page"])
def test_no_word_that_the_report_does_not_use(page, request):
    text = Page(request.getfixturevalue(page)).text.lower()
    assert not [word for word in BANNED if word in text]


@pytest.mark.parametrize("page", ["two_page", "troubled_page"])
def test_nothing_is_fetched_and_nothing_runs(page, request):
    source = request.getfixturevalue(page)
    assert set(re.findall(r"https?://[^\s\"'<]+", source)) <= {"http://www.w3.org/2000/svg"}
    elements = Page(source).elements
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in elements}
    assert all(attributes["href"].startswith("#") for tag, attributes in elements if "href" in attributes)
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    sources = [attributes["src"] for _, attributes in elements if "src" in attributes]
    assert all(source.startswith("data:image/") for source in sources)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in source


def test_identifiers_are_unique_and_references_meet_one(two_page):
    ids = Page(two_page).ids()
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", two_page)) <= set(ids)
    assert re.search(r"url\(#curves-1-small-", two_page)  # or the line above checks nothing


def test_no_absolute_path(troubled, troubled_page, tmp_path):
    assert str(troubled.folder) not in troubled_page
    assert "/home/" not in troubled_page
    folder = folders.two_arms(tmp_path / "s", data="/srv/somebody/pictures/flowers")
    page = build(Results.read(folder))
    assert "somebody" not in page
    assert "data: ./flowers" in page


def test_the_study_can_be_run_again_from_the_page(troubled, troubled_page, two, tmp_path):
    grid = folders.write_study(
        tmp_path / "s", arms=None, compare=None, grid={"network.norm": ["none", "batch"], "recipe.epochs": [2, 3]}
    )
    for results in (troubled, two, Results.read(grid)):
        shown = Page(build(results)).source.split('<pre class="file" tabindex="0"><code>')[1].split("</code>")[0]
        study, arms, _ = read_study(config.parse(shown.replace("&#39;", "'").replace("&lt;", "<"), "page.yaml"))
        assert study == results.study
        assert arms == results.arms


def test_a_study_without_comparisons_says_what_was_measured(tmp_path):
    arms = {
        f"norm={n} lr={lr}": {"network.norm": n, "recipe.optimizer.lr": lr}
        for n in ("none", "batch")
        for lr in (0.001, 0.01)
    }
    folder = folders.write_study(tmp_path / "s", arms=arms, compare=[])
    for i, arm in enumerate(("norm=none-lr=0.001", "norm=none-lr=0.01", "norm=batch-lr=0.001", "norm=batch-lr=0.01")):
        for seed in range(3):
            folders.write_run(folder, arm, seed, test=0.9 + 0.01 * i + 0.001 * seed)
    text = Page(build(Results.read(folder))).text
    assert (
        "norm=batch lr=0.01: mean test accuracy 93.1 % (standard deviation 0.1, 95 % confidence interval 92.8 to 93.4, 3 seeds)."
        in text
    )
    assert "The study plans no comparison." in text


def test_one_arm_and_one_seed(tmp_path):
    folder = folders.write_study(tmp_path / "s", arms=None, compare=None, seeds=1)
    folders.write_run(folder, "base", 0, test=0.9, epochs=1)
    text = Page(build(Results.read(folder))).text
    assert "base: 90.0 % test accuracy (1 seed, so the spread between seeds is unknown)." in text
    assert "The study has one arm." in text


def test_a_study_of_which_nothing_ran(tmp_path):
    text = Page(build(Results.read(folders.write_study(tmp_path / "s")))).text
    assert "0 of 6 runs have a result" in text
    assert "plain: none of the 3 runs has started" in text
    assert "No run has finished an epoch yet." in text


def test_a_ninth_arm_is_grey(tmp_path):
    page = build(Results.read(folders.many(tmp_path / "s", arms=9, seeds=2, epochs=3)))
    assert page.count('stroke="var(--c-other)"') > 1
    assert "var(--c9)" not in page


def test_size_and_nodes_of_eight_arms_with_five_seeds(many):
    source = build(many)
    assert len(source.encode()) < 3_500_000
    assert len(Page(source).elements) < 6000
    assert len(Page(source).tables["validation loss, mean ± half-width of the 95 % confidence interval"]) <= 1 + 41


def test_without_vl_convert_the_charts_are_tables(two, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert not svg.is_available()
    page = Page(build(two))
    assert "Tables replace the charts, because this page was built without the package vl-convert-python." in page.text
    assert "svg" not in {tag for tag, _ in page.elements}
    assert "Numbers:" not in page.text  # nothing is folded away: the tables stand where the charts would
    assert len(page.tables["training loss, mean ± half-width of the 95 % confidence interval"]) == 13


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/home/u/a/b.pt: no space", "b.pt: no space"),
        ("in C:\\Users\\u\\x.pt", "in x.pt"),
        ("~/data/cats is empty", "cats is empty"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("</script> stays", "</script> stays"),
        ("batches/s and 3/4", "batches/s and 3/4"),
        ("'/srv/my/x'", "'x'"),
    ],
)
def test_shortened(text, short):
    assert shortened(text) == short


def test_a_long_name_keeps_both_its_ends():
    name = "norm=batch lr=0.001 epochs=12 augment=flip crop=4 seed order=fixed"
    assert abbreviated(name) == "norm=batch lr=0.001 epochs… seed order=fixed"
    assert abbreviated(f"{name} − plain") == "norm=batch lr=0.001 epochs… seed order=fixed − plain"
    assert abbreviated(44 * "x") == 44 * "x"


def test_a_name_that_is_cut_has_the_whole_name_as_its_title(tmp_path):
    name = "a" * 100
    folder = folders.two_arms(tmp_path / "s", arms={"plain": {}, name: {"network.norm": "batch"}}, compare=None)
    source = build(Results.read(folder))
    assert f'<th scope="row"><span title="{name}">{"a" * 26}…{"a" * 17}</span></th>' in source
    assert f'<th scope="row">{name}</th>' in source  # whole in the table of the arms


def test_how_numbers_are_spelled():
    assert [signed(x) for x in (1.25, -0.04, 0.04, -3.0, None)] == ["+1.2", "0.0", "0.0", "−3.0", "–"]
    assert [duration(s) for s in (8.24, 185.0, 7800.0)] == ["8.2 s", "3 min 5 s", "2 h 10 min"]


def test_importing_the_room_loads_nothing_heavy():
    code = "import striate.report, sys; print(sorted({'torch', 'scipy', 'vl_convert', 'pandas', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_yaml_is_yaml(two):
    assert yaml.safe_load(study_yaml(two.study))["matters"] == 0.5


def test_each_network_has_its_layer_table_and_every_column_its_meaning(two, two_page):
    tables = layer_tables(two).tables
    assert [arms for arms, _ in tables] == [arm.name for arm in two.arms]
    for arm, (_, table) in zip(two.arms, tables, strict=True):
        data = two.of(arm.name)[0].data
        column = table.head.index("parameters")
        parameters = sum(int(row[column].replace(",", "") or 0) for row in table.rows)
        assert parameters == count_parameters(arm.network, data.shape, len(data.classes))
        assert f"Layers of {arm.name}" in two_page
    assert all(f"<dt>{heading}</dt>" in two_page for heading in ("field", "status", "multiply-adds"))


def test_networks_alike_share_a_table_and_a_page_has_room_for_four(many, tmp_path):
    ((arms, _),) = layer_tables(many).tables
    assert arms == "arm a, arm b, arm c, arm d, arm e, arm f, arm g and arm h"
    networks = {f"conv{n}": {"network.layers": f"conv{n}"} for n in range(1, 6)}
    folder = folders.write_study(tmp_path / "s", arms=networks, compare=None)
    for name in networks:
        folders.write_run(folder, name, 0, test=0.9)
    shown = layer_tables(Results.read(folder))
    assert [arms for arms, _ in shown.tables] == ["conv1", "conv2", "conv3", "conv4"]
    assert shown.note == "The page shows 4 of 5 networks."


def test_the_layer_table_that_a_run_has_recorded_is_shown(tmp_path, monkeypatch):
    """Of a module, too: the page reads network.json and imports nothing."""
    folder = folders.two_arms(
        tmp_path / "s",
        arms={"plain": {}, "normalized": {"network": {"import": "somebody_s_network:make"}}},
        network="conv16 pool conv32 pool fc64",
    )
    (tmp_path / "somebody_s_network.py").write_text("raise SystemExit('the report imported me')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    results = Results.read(folder)
    (plain,) = layer_tables(results).tables
    assert plain[0] == "plain"
    assert (
        "The layers of normalized are not shown, as the run folders have no network.json." in Page(build(results)).text
    )

    recorded = layer_table(network_graph(NetworkConfig(layers="fc7"), (1, 8, 8), 10))
    write_json(folder / "normalized" / "seed-1" / "network.json", recorded.to_json())
    shown = layer_tables(Results.read(folder))
    assert [arms for arms, _ in shown.tables] == ["plain", "normalized"]
    assert "fc1" in shown.tables[1][1].rows[-2]
    assert shown.note == ""


def test_a_chart_that_cannot_be_drawn_is_its_table_and_a_line_says_why(two, monkeypatch):
    monkeypatch.setattr(svg, "render", lambda charts: [_undrawn(chart) for chart in charts])
    source = build(two)
    page = Page(source)
    assert "This chart is missing: the renderer (vl-convert) crashed. The table has its numbers." in page.text
    assert page.text.count("This chart is missing") == 1
    assert "Numbers: test accuracy of each run" in page.text
    assert "Numbers: differences by seed" not in page.text  # the table is not folded away
    assert "differences by seed" in page.tables
    assert 'id="figure-differences"' in source


def _undrawn(chart: svg.Chart) -> svg.Drawing:
    """What `svg.render` gives, with the chart of the differences missing."""
    if chart.figure == "differences":
        return svg.Drawing(failure="the renderer (vl-convert) crashed")
    return svg.Drawing(svg=Markup("<svg></svg>"))


def test_unprintable_characters_are_shown_as_escapes(tmp_path):
    folder = folders.two_arms(tmp_path / "s")
    folders.write_run(folder, "plain", 3, test=None, state="failed", reason="a \uffff, a \x1b and a \u202e")
    results = Results.read(folders.write_study(folder, seeds=4))
    study = results.study.model_copy(update={"question": "A \u202e and a \ud800?"})  # past the check of the study file
    source = build(dataclasses.replace(results, study=study))
    assert "a \\uffff, a \\x1b and a \\u202e" in Page(source).text
    assert Page(source).text.count("A \\u202e and a \\ud800?") == 2  # title and heading
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", source)


def test_a_page_whose_template_is_missing_says_so(two, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "_TEMPLATES", tmp_path)
    with pytest.raises(
        ReportError, match=r"^report.css: .*cannot be read \(No such file or directory\); install Striate"
    ):
        build(two)


@pytest.mark.parametrize(("method", "name"), [("is_file", "study.yaml"), ("exists", "run.yaml")])
def test_a_folder_that_this_user_may_not_read_is_one_sentence(two, monkeypatch, method, name):
    allowed = getattr(Path, method)

    def refuse(path):
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return allowed(path)

    monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(StudyError, match=rf"{name}: cannot be read \(Permission denied\); ask its owner"):
        Results.read(two.folder)


def test_a_folder_that_is_gone_is_not_made_again_for_its_report(two, tmp_path):
    with pytest.raises(ReportError, match="the study's folder is gone"):
        write(dataclasses.replace(two, folder=tmp_path / "gone"))
    assert not (tmp_path / "gone").exists()


def test_two_folders_of_one_name_stay_two():
    content = {
        "data": "/a/photos",
        "network": {"pretrained": "/w/best.pt"},
        "arms": {"x": {"data.source": "/b/photos"}},
    }
    assert local_paths(content) == {"/a/photos": "./photos", "/w/best.pt": "./best.pt", "/b/photos": "./photos-2"}
    assert local_paths({"data": "cifar10", "grid": {"data.source": ["digits", "/c/cifar10"]}}) == {
        "/c/cifar10": "./cifar10"
    }


def test_a_study_in_which_no_run_learned_has_its_page(tmp_path):
    folder = folders.write_study(tmp_path / "chance")
    for arm in folders.TEST:
        for seed in range(3):
            folders.write_run(folder, arm, seed, test=0.101, at_chance=True)
    assert "No run learned anything, so no arm has a mean" in build(Results.read(folder))
