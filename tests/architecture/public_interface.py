"""What type checkers know of the public names. Nobody runs this file: mypy and pyrefly read it (`make check`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, assert_type

import striate

study = striate.load("quickstart", "recipe.epochs=4", seeds=3, out="runs")
assert_type(study, striate.LoadedStudy)
assert_type(study.folder, Path)
assert_type(study.results(), striate.Results)

results = study.run(jobs=2, device="cpu", should_stop=lambda: False)
assert_type(results, striate.Results)
assert_type(striate.Results.read(Path("runs", "quickstart")), striate.Results)
assert_type(results.is_complete, bool)
assert_type(results.table(), list[dict[str, Any]])

for verdict in results.verdicts:
    assert_type(verdict, striate.Verdict)
    assert_type(verdict.sentence, str)
    assert_type(verdict.differences, Mapping[int, float])
    assert_type(verdict.p, float | None)
    assert_type(verdict.more_seeds, int | None)

for row in results.rows:
    assert_type(row.test_accuracy, float | None)
    assert_type(row.run, striate.Run | None)
    if row.run:
        assert_type(row.run.state, Literal["finished", "diverged", "failed", "unfinished"])
        assert_type(row.run.folder, Path)
        assert_type(row.run.metrics[0].train_loss, float | None)

classifier = striate.open("runs/quickstart/plain", device="cpu")
assert_type(classifier, striate.Classifier)
for prediction in classifier.predict(["a.png", Path("photos")]):
    assert_type(prediction, striate.Prediction)
    assert_type(prediction.top(3), list[tuple[str, float]])

try:
    striate.load(Path("mine.yaml"))
except striate.StriateError as error:
    assert_type(str(error), str)
