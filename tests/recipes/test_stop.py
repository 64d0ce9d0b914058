"""What ends a training early, from the rows of its epochs alone."""

import re
from types import SimpleNamespace

import pytest

from striate.core import config
from striate.core.errors import ConfigError
from striate.recipes import RECIPES, Recipe, StopConfig, stop_reason


def rows(losses, accuracies=None, train=1.0, seconds=10.0):
    accuracies = accuracies or [0.5] * len(losses)
    return [
        SimpleNamespace(train_loss=train, validation_loss=loss, validation_accuracy=accuracy, seconds=seconds * (i + 1))
        for i, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
    ]


def test_patience_counts_epochs_since_the_best():
    stop = StopConfig(patience=3)
    losses = [2.0, 1.0, 1.1, 1.0, 1.2]  # an equal loss is no improvement
    assert [bool(stop_reason(stop, rows(losses[:n]))) for n in range(6)] == [False] * 5 + [True]
    assert stop_reason(stop, rows(losses)) == "the validation loss had not improved for 3 epochs"


def test_patience_can_watch_accuracy():
    stop = StopConfig(patience=2, watch="validation_accuracy")
    falling = [3.0, 2.0, 1.0]
    assert not stop_reason(stop, rows(falling, [0.1, 0.2, 0.3]))
    assert stop_reason(stop, rows(falling, [0.3, 0.2, 0.3])) == "the validation accuracy had not improved for 2 epochs"


def test_a_threshold_and_a_budget():
    assert stop_reason(StopConfig(train_loss=0.005), rows([1.0], train=0.004)) == "the training loss came under 0.005"
    assert not stop_reason(StopConfig(train_loss=0.005), rows([1.0], train=0.005))
    assert stop_reason(StopConfig(minutes=0.5), rows([1.0] * 3)) == "the time limit of 0.5 minutes was reached"
    assert not stop_reason(StopConfig(minutes=0.5), rows([1.0] * 2))


def test_without_a_condition_nothing_stops_a_training():
    assert not stop_reason(StopConfig(), rows([1.0] * 99, train=1e-9))


def read(text):
    return config.build(Recipe, config.parse(text, "r.yaml"))


def test_a_named_recipe_is_a_start_that_can_be_changed():
    changed = read("base: baseline\nepochs: 3\noptimizer: {lr: 0.02}\nschedule: constant")
    plain = read("base: baseline")
    assert (changed.epochs, changed.optimizer.lr, changed.schedule.name) == (3, 0.02, "constant")
    assert changed.optimizer.arguments == {**plain.optimizer.arguments, "lr": 0.02}
    assert changed.augment == plain.augment
    assert read("base: baseline\noptimizer: {name: Adam}").optimizer.arguments == {"lr": 0.001}


def test_a_named_recipe_and_the_same_written_out_are_one():
    assert Recipe.model_validate("baseline") == Recipe.model_validate(RECIPES["baseline"].settings)
    assert (
        Recipe.model_validate("baseline").identity() == Recipe.model_validate(RECIPES["baseline"].settings).identity()
    )
    once = Recipe.model_validate({"base": "report-d", "label_smoothing": 0.1})
    assert Recipe.model_validate(once.model_dump(mode="json")) == once


@pytest.mark.parametrize("name", RECIPES)
def test_every_named_recipe_is_one_and_says_where_it_is_from(name):
    assert Recipe.model_validate(name).base == ""
    assert RECIPES[name].source.endswith(".")
    assert RECIPES[name].reached.endswith(".")


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"there is no recipe 'basline'; did you mean 'baseline'\?"):
        read("base: basline")


def test_a_bare_word_over_a_base_is_its_long_form():
    assert read("base: fast\noptimizer: SGD") == read("base: fast\noptimizer: {name: SGD}") == read("base: fast")
    assert read("base: fast\nschedule: linear").schedule.warmup == 0.2
    assert read("base: fast\naugment: none").augment == Recipe().augment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schedule: {name: multistep, at: []}", "the schedule multistep needs 'at', a list of epochs"),
        (
            "schedule: {name: plateau, factor: 2}",
            "the factor of a plateau must be under 1, so that the learning rate falls, got 2",
        ),
        ("precise_norm: 1", "precise_norm: must be greater than or equal to 2, got 1"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read(text)
