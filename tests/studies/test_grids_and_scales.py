"""Studies by a grid and by a scale, from made run folders: what is planted is found and what is not there is not."""

import numpy as np
import pytest

from striate.core.errors import ConfigError
from striate.studies.loaded import load
from striate.studies.results import Results
from tests.report import folders
from tests.studies.conftest import STUDY, write_study

SCALE = {
    "arms": None,
    "compare": None,
    "scale": {"network.filters": [4, 8, 16, 32]},
    "network": {"family": "shallow"},
    "seeds": 5,
}
GRID = {
    "arms": None, "compare": None, "grid": {"network.norm": ["none", "batch"], "recipe.batch_size": [32, 64]}, "matters": 1,
    "seeds": 5,
}  # fmt: skip


def rows(training: float, validation: float) -> list[dict]:
    return [
        {
            "epoch": 1, "train_loss": training, "train_accuracy": 0.5, "validation_loss": validation, "validation_accuracy": 0.6,
            "learning_rate": 0.1, "images_per_second": 1000, "seconds": 1.0,
        }
    ]  # fmt: skip


def grid(tmp_path, accuracy, **changes):
    """`accuracy(has_norm, is_large)` in percent, with noise of 0.1 points and seconds that the norm doubles."""
    folder = folders.write_study(tmp_path / "s", **{**GRID, **changes})
    noise = np.random.default_rng(3)
    for norm in (0, 1):
        for large in (0, 1):
            name = f"norm={('none', 'batch')[norm]} batch_size={(32, 64)[large]}"
            for seed in range(5):
                share = accuracy(norm, large) / 100 + noise.normal(0, 0.001)
                seconds = 10 * (1 + norm) * (1 + noise.normal(0, 0.01))
                folders.write_run(folder, name_of(name), seed, test=share, seconds=seconds, test_images=10000)
    return Results.read(folder)


def name_of(name: str) -> str:
    from striate.runs.layout import slug

    return slug(name)


def scale(tmp_path, training, validation):
    folder = folders.write_study(tmp_path / "s", **SCALE)
    noise = np.random.default_rng(4)
    for filters, a, b in zip((4, 8, 16, 32), training, validation, strict=True):
        for seed in range(5):
            losses = rows(a + noise.normal(0, 0.005), b + noise.normal(0, 0.005))
            folders.write_run(
                folder, name_of(f"filters={filters}"), seed, test=0.8, metrics=losses, parameters=100 * filters
            )
    return Results.read(folder)


def test_a_planted_interaction_of_a_grid_is_found(tmp_path):
    results = grid(tmp_path, lambda norm, large: 80 + 2 * norm + 5 * norm * large)
    norm, size, both = results.effects
    assert (norm.label, size.label, both.label) == ("clearly better",) * 3
    assert norm.interval.mean == pytest.approx(4.5, abs=0.3)
    assert both.interval.mean == pytest.approx(5, abs=0.3)


def test_effects_that_add_up_are_no_interaction(tmp_path):
    *_, both = grid(tmp_path, lambda norm, large: 80 + 5 * norm + 5 * large).effects
    assert both.label == "no difference that matters"


def test_a_grid_is_judged_in_the_metric_of_the_study(tmp_path):
    norm, size, both = grid(tmp_path, lambda norm, large: 80, metric="training time", matters=10).effects
    assert norm.interval.mean == pytest.approx(100, abs=5)
    assert (norm.label, size.label, both.label) == (
        "clearly worse", "no difference that matters", "no difference that matters",
    )  # fmt: skip


def test_each_arm_has_its_mean_deviation_time_and_parameters(tmp_path):
    first, *_ = grid(tmp_path, lambda norm, large: 80).arm_table()
    assert first["arm"] == "norm=none batch_size=32"
    assert first["accuracy"] == pytest.approx(80, abs=0.2)
    assert first["deviation"] == pytest.approx(0.1, abs=0.1)
    assert first["seconds"] == pytest.approx(10, abs=0.5)
    assert (first["parameters"], first["seeds"], first["not_trained"]) == (21034, 5, 0)


def test_the_turn_of_a_scale_is_found(tmp_path):
    result = scale(tmp_path, (1.0, 0.6, 0.2, 0.05), (1.1, 0.7, 0.9, 1.3)).scale
    assert (result.turn.shape, result.turn.candidates) == ("turns", (1,))
    assert result.sentence == (
        f"The validation loss at the last epoch is lowest, {result.sizes[1].validation_mean:.3f}, with filters=8 (800 parameters). "
        "Underfitting ends and overfitting begins with filters=8 (800 parameters) (95 % confidence, over the seeds). Beyond it the "
        f"training loss keeps falling, from {result.sizes[1].training_mean:.3f} to {result.sizes[3].training_mean:.3f}."
    )


def test_a_loss_that_falls_to_the_end_has_no_turn(tmp_path):
    result = scale(tmp_path, (1.0, 0.6, 0.2, 0.05), (1.1, 0.9, 0.7, 0.5)).scale
    assert result.turn.shape == "falls to the end"
    assert "overfitting begins beyond it, if at all" in result.sentence


def test_networks_that_train_badly_are_not_called_overfitted(tmp_path):
    result = scale(tmp_path, (1.0, 0.6, 0.9, 1.5), (1.1, 0.7, 1.0, 1.6)).scale
    assert result.turn.shape == "turns"
    assert "that is no overfitting" in result.sentence


def test_a_scale_is_one_axis_of_which_several_keys_may_be_a_part(tmp_path):
    base = STUDY[: STUDY.index("arms:")]
    study = load(write_study(tmp_path, base + "scale:\n  recipe.epochs: [1, 2]\n  recipe.batch_size: [8, 16]\n"))
    assert [arm.name for arm in study.arms] == ["epochs=1 batch_size=8", "epochs=2 batch_size=16"]
    assert study.study.comparisons == ()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("scale: {recipe.epochs: [1, 2], recipe.batch_size: [8]}", r"scale: needs lists of one length.*got \[1, 2\]"),
        ("scale: {recipe.epochs: [1]}", r"scale: needs lists of one length, of two values or more, got \[1\]"),
        ("scale: {recipe.epochs: [1, 1]}", "scale: 'epochs=1' comes out twice; give each value once"),
        ("scale: {recipe.epochs: []}", r"scale\.recipe\.epochs: needs a value or more, got an empty list"),
        ("scale: {recipe.epochs: [1, 2]}\ngrid: {recipe.batch_size: [8]}", "give 'arms' .* or 'scale' .*, not both"),
    ],
)
def test_a_scale_that_is_none_is_refused(tmp_path, text, error):
    with pytest.raises(ConfigError, match=error):
        load(write_study(tmp_path, STUDY[: STUDY.index("arms:")] + text + "\n"))
