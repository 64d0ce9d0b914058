"""What the page prints under "Reproduce" is run, beside the images: a folder's or file's own name must not become a data set's."""

import html
import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from striate.cli import main
from striate.report.pages import build
from striate.studies.loaded import LoadedStudy, load
from striate.studies.results import Results
from tests.contracts.scheduler import InlineScheduler
from tests.report import folders

STUDY = {
    "name": "again",
    "network": "conv8 pool gap",
    "recipe": {"optimizer": {"name": "Adam", "lr": 0.03}, "batch_size": 16, "epochs": 4, "precision": "float32"},
    "seeds": 2,
    "arms": {"plain": {}, "longer": {"recipe.epochs": 6}},
    "compare": None,
}
DIGITS = {
    "network": "conv8 pool",
    "recipe": STUDY["recipe"] | {"optimizer": {"name": "Adam", "lr": 0.01}, "batch_size": 64, "epochs": 2},
    "arms": {"plain": {}, "narrow": {"network.layers": "conv4 pool"}},
    "seeds": 1,
}


def images(n):
    """Stripes, horizontal or vertical, under noise: what a small filter tells apart."""
    noise = np.random.default_rng(n)
    for i in range(n):
        pixels = noise.normal(128, 25, (8, 8, 3)) + 60 * (np.arange(8) % 2)[:, None, None]
        pixels = np.clip(pixels, 0, 255).astype(np.uint8)
        yield i, i % 2, Image.fromarray(pixels if i % 2 else np.ascontiguousarray(pixels.transpose(1, 0, 2)))


def folder_of_images(place):
    """A folder of photographs that is called like a data set."""
    for part, n in (("train", 80), ("test", 40)):
        for i, label, image in images(n):
            path = place / part / ("level", "upright")[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)


def parquet_files(place):
    """A folder of parquet files that is called like a data set."""
    place.mkdir(parents=True)
    for part, n in (("train", 80), ("test", 40)):
        rows = []
        for _, label, image in images(n):
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            rows.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": label})
        pq.write_table(pa.Table.from_pylist(rows), place / f"{part}-00000-of-00001.parquet")


def printed(page, kind):
    return html.unescape(re.search(rf'<pre class="{kind}"[^>]*><code>(.*?)</code>', page, re.DOTALL)[1])


def run_as_printed(page, monkeypatch):
    for line in printed(page, "commands").splitlines():
        program, *arguments = line.split()
        assert program == "striate"
        monkeypatch.setattr("sys.argv", [program, *arguments])
        with pytest.raises(SystemExit, match=r"^0$"):
            main()


@pytest.mark.parametrize(
    ("write", "name"),
    [(folder_of_images, "cifar10"), (parquet_files, "mnist"), pytest.param(None, "digits", marks=pytest.mark.slow)],
    ids=["folder", "parquet", "named"],
)
def test_what_the_page_prints_gives_the_same_numbers(tmp_path, monkeypatch, write, name):
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("striate.report.svg.is_available", lambda: False)  # drawing takes a second
    if write:
        write(tmp_path / "there" / name)
    data = str(tmp_path / "there" / name) if write else name
    folders.write_study(tmp_path / "first", **{**STUDY, **({} if write else DIGITS)}, data=data)
    first = load(tmp_path / "first" / "study.yaml", out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert all(row.trained for row in first.rows)  # runs at chance would agree whatever they read
    page = build(first)
    assert str(tmp_path) not in page

    again = tmp_path / "again"
    again.mkdir()
    (again / "study.yaml").write_text(printed(page, "file"), encoding="utf-8")
    if write:
        assert f"<code>./{name}</code>" in page
        (again / name).symlink_to(tmp_path / "there" / name)
    monkeypatch.chdir(again)
    run = LoadedStudy.run
    monkeypatch.setattr(LoadedStudy, "run", lambda study, **options: run(study, scheduler=InlineScheduler()))
    run_as_printed(page, monkeypatch)
    second = Results.read(again / "runs" / "again")
    assert [row.run.fingerprint for row in second.rows] == [row.run.fingerprint for row in first.rows]
    for one, other in zip(first.rows, second.rows, strict=True):
        assert one.test_accuracy == other.test_accuracy
        assert one.run.job.digest == other.run.job.digest
        assert [epoch.train_loss for epoch in one.run.metrics] == [epoch.train_loss for epoch in other.run.metrics]
        answers = [np.load(row.run.folder / "predictions.npz")["test_logits"] for row in (one, other)]
        np.testing.assert_array_equal(*answers)
    assert [verdict.sentence for verdict in second.verdicts] == [verdict.sentence for verdict in first.verdicts]


@pytest.mark.slow  # it trains in processes of its own
def test_the_printed_command_itself_gives_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    folder_of_images(tmp_path / "there" / "cifar10")
    folders.write_study(tmp_path / "first", **STUDY, data=str(tmp_path / "there" / "cifar10"))
    first = load(tmp_path / "first" / "study.yaml", out=tmp_path / "runs").run(jobs=1)
    page = build(first)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "study.yaml").write_text(printed(page, "file"), encoding="utf-8")
    (tmp_path / "again" / "cifar10").symlink_to(tmp_path / "there" / "cifar10")
    monkeypatch.chdir(tmp_path / "again")
    run_as_printed(page, monkeypatch)
    second = Results.read(tmp_path / "again" / "runs" / "again")
    assert [row.test_accuracy for row in second.rows] == [row.test_accuracy for row in first.rows]
