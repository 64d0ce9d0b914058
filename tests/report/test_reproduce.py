"""What the page prints under "Reproduce" is run, beside the images: a folder's or file's own name must not become a data set's."""

import html
import re

import numpy as np
import pytest
from PIL import Image

from striate.cli import main
from striate.report.pages import build
from striate.runs.reader import read
from striate.studies.loaded import load
from striate.studies.results import Results
from tests.report import folders

STUDY = {
    "name": "again",
    "network": "conv4 gap",
    "recipe": {"optimizer": {"name": "SGD", "lr": 0.1}, "batch_size": 8, "epochs": 1, "precision": "float32"},
    "seeds": 1,
    "arms": {"plain": {}, "twice": {"recipe.epochs": 2}},
    "compare": None,
}


def write_images(folder):
    noise = np.random.default_rng(0)
    for part, n in (("train", 12), ("test", 4)):
        for name in ("cats", "dogs"):
            (folder / part / name).mkdir(parents=True)
            for i in range(n):
                pixels = noise.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{i}.png")


def printed(page, kind):
    return html.unescape(re.search(rf'<pre class="{kind}"[^>]*><code>(.*?)</code>', page, re.DOTALL)[1])


@pytest.mark.slow  # it trains
def test_what_the_page_prints_gives_the_same_runs(tmp_path, monkeypatch):
    name = "cifar10"  # a folder of photographs that is called like a data set
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    write_images(tmp_path / "there" / name)
    folders.write_study(tmp_path / "first", **STUDY, data=str(tmp_path / "there" / name))
    first = load(tmp_path / "first" / "study.yaml", out=tmp_path / "runs").run(jobs=1)
    page = build(first)
    assert str(tmp_path) not in page

    again = tmp_path / "again"
    again.mkdir()
    (again / "study.yaml").write_text(printed(page, "file"), encoding="utf-8")
    (again / name).symlink_to(tmp_path / "there" / name)
    monkeypatch.chdir(again)
    for line in printed(page, "commands").splitlines():
        program, *arguments = line.split()
        assert program == "striate"
        monkeypatch.setattr("sys.argv", [program, *arguments])
        with pytest.raises(SystemExit, match=r"^0$"):
            main()
    second = Results.read(again / "runs" / "again")
    assert [row.run.fingerprint for row in second.rows] == [row.run.fingerprint for row in first.rows]
    assert [row.test_accuracy for row in second.rows] == [row.test_accuracy for row in first.rows]
    assert read(second.rows[0].run.folder).job.digest == first.rows[0].run.job.digest
