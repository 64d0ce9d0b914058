"""What a recipe accepts, and how it refuses."""

import re

import pytest

from striate.core import config
from striate.core.errors import ConfigError
from striate.core.records import fingerprint
from striate.recipes import OptimizerConfig, Recipe


def build(text: str) -> Recipe:
    return config.build(Recipe, config.parse(text, "r.yaml"))


def test_an_optimizer_keeps_torch_s_own_arguments():
    recipe = build("optimizer: {name: SGD, lr: 5e-2, momentum: 0.9, nesterov: true}")
    assert recipe.optimizer.arguments == {"lr": 0.05, "momentum": 0.9, "nesterov": True}


def test_an_optimizer_s_arguments_decide_the_run():
    plain, heavy = OptimizerConfig(name="SGD"), OptimizerConfig(name="SGD", momentum=0.9)
    assert fingerprint(Recipe(optimizer=plain)) != fingerprint(Recipe(optimizer=heavy))
    assert fingerprint(Recipe()) == fingerprint(Recipe(optimizer=OptimizerConfig(name="Adam", lr=0.001)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 0", "epochs: must be greater than or equal to 1, got 0"),
        ("epochs: 2.5", "epochs: must be a whole number, got 2.5"),
        ("batch_size: many", "batch_size: must be a whole number, got 'many'"),
        ("label_smoothing: 1", "label_smoothing: must be less than 1, got 1"),
        ("optimizer: {lr: 0}", "optimizer.lr: must be greater than 0, got 0"),
        ("optimizer: {lr: fast}", "optimizer.lr: must be a number, got 'fast'"),
        ("precision: half", "precision: must be one of 'auto', 'float32', 'float32-direct' or 'bf16', got 'half'"),
        (
            "schedule: cosin",
            "schedule.name: must be one of 'constant', 'cosine', 'linear', 'step', 'multistep', 'plateau' or 'one-cycle', got 'cosin'",
        ),
        ("schedule: step", "the schedule step needs 'every', a number of epochs: {name: step, every: 10, factor: 0.1}"),
        ("schedule: {name: cosine, every: 3}", "the schedule cosine has no 'every'"),
        ("augment: {crop: -1}", "augment.crop: must be greater than or equal to 0, got -1"),
        ("augment: {flop: true}", "augment.flop: unknown key; did you mean 'flip'?"),
        ("augment: true", "augment: must be keys and values, got True"),
        ("augment: {flip: maybe}", "augment.flip: must be true, false or 'alternate', got 'maybe'"),
        ("augment: {flip: 1}", "augment.flip: must be true, false or 'alternate', got 1"),
        ("augment: {hue: 0.6}", "augment.hue: must be less than or equal to 0.5, got 0.6"),
        ("augment: {rotate: -5}", "augment.rotate: must be greater than or equal to 0, got -5"),
        ("augment: {scale: 1}", "augment.scale: must be less than 1, got 1"),
        ("augment: {cutout: 2.5}", "augment.cutout: must be a whole number, got 2.5"),
        ("augment: {erase: 1.5}", "augment.erase: must be less than or equal to 1, got 1.5"),
        ("augment: {strength: 11}", "augment.strength: must be less than or equal to 10, got 11"),
        ("epochs: 1" + 17 * "0", "epochs: must be less than or equal to 100000, got 1000"),
        ("batch_size: 1" + 17 * "0", "batch_size: must be less than or equal to 1000000, got 1000"),
        ("precise_norm: 1" + 17 * "0", "precise_norm: must be less than or equal to 1000000000, got 1000"),
        ("stop: {patience: 100001}", "stop.patience: must be less than or equal to 100000, got 100001"),
        ("stop: never", "stop: must be keys and values, got 'never'"),
        ("schedule: {name: step, every: 100001}", "schedule.every: must be less than or equal to 100000, got 100001"),
        ("schedule: {name: multistep, at: [5, 100001]}", "at must be different epochs from 1 to 100000, in order, got"),
        (
            "schedule: {name: multistep, at: [5, 5]}",
            "at must be different epochs from 1 to 100000, in order, got [5, 5]",
        ),
        ("optimizer: {name: SGD, momentum: .inf}", "momentum must be finite, got inf"),
        ("optimizer: {name: Adam, betas: [0.9, .nan]}", "betas must be finite, got [0.9, nan]"),
        ("optimizer: {name: SGD, momentum: 1" + 400 * "0" + "}", "must be a whole number of at most 18 digits"),
        ("augment: {contrast: 101}", "augment.contrast: must be less than or equal to 100, got 101"),
        ("augment: {cutout: 10001}", "augment.cutout: must be less than or equal to 10000, got 10001"),
        ("augment: {mixup: 1e300}", "augment.mixup: must be less than or equal to 1000000, got 1e+300"),
        ("augment: {mixup: -1}", "augment.mixup: must be greater than or equal to 0, got -1"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        build(text)


def test_none_switches_off_the_stop_of_a_named_recipe():
    assert build("base: report-d").stop.patience == 5
    off = build("{base: report-d, stop: none}")
    assert off.stop == Recipe().stop
    assert fingerprint(off) == fingerprint(build("{base: report-d, stop: {patience: null}}"))
    assert fingerprint(build("stop: none")) == fingerprint({})


def test_a_kind_that_is_off_leaves_old_runs_valid():
    """What decides a run is written as when flip and crop were all there was."""
    old = {"flip": True, "crop": 4}
    assert fingerprint(build("augment: {flip: true, crop: 4}")) == fingerprint({"augment": old})
    assert fingerprint(build("augment: {flip: true, crop: 4, hue: 0, cutmix: 0.0}")) == fingerprint({"augment": old})
    assert fingerprint(build("augment: none")) == fingerprint(Recipe()) == fingerprint({})
    assert fingerprint(build("augment: {flip: alternate, crop: 4}")) != fingerprint({"augment": old})
