"""The rules of `striate train`: pure functions of what was counted and timed."""

import pytest

from striate.core import config
from striate.data.augment import AugmentConfig
from striate.nets import NetworkConfig
from striate.nets.resolve import resolve
from striate.studies.study import read_study
from striate.train import rules, study_file
from striate.train.rules import Candidate, Chosen, Cost
from striate.train.survey import Survey

LAYERS_FROM_SCRATCH = rules.layers_from_scratch  # before the tests make it smaller


def looked_at(short_side, one_size=None):
    return Survey("photos", "photos", short_side, one_size, images=100, seconds_of_image=0.001)


@pytest.mark.parametrize(
    ("looked", "has_backbone", "most", "size"),
    [
        (looked_at(375), True, 224, 224),
        (looked_at(150), True, 224, 160),
        (looked_at(32, (32, 32)), True, 224, 64),
        (looked_at(375), True, 128, 128),
        (looked_at(375), False, 224, 128),
        (looked_at(100), False, 224, 96),
        (looked_at(32, (32, 32)), False, 224, None),
        (looked_at(28, (28, 40)), False, 224, 16),
        (looked_at(5), False, 224, 16),
    ],
)
def test_the_size_of_images(looked, has_backbone, most, size):
    assert rules.image_size(looked, has_backbone, most).value == size


def test_a_smaller_size_where_time_is_short():
    assert rules.smaller(224, 0.6, True) == 160
    assert rules.smaller(224, 0.001, True) == 128
    assert rules.smaller(128, 0.6, True) is None
    assert rules.smaller(128, 0.001, False) == 64
    assert rules.smaller(128, 0.6, False) == 96
    assert rules.smaller(64, 0.5, False) is None


@pytest.mark.parametrize(
    ("side", "images", "batch"),
    [(224, 400, 32), (224, 196, 16), (224, 40, 4), (32, 50_000, 128), (32, 3000, 64), (32, 2, 2)],
)
def test_the_batch(side, images, batch):
    assert rules.batch_size(side, images).value == batch


@pytest.mark.parametrize("side", [8, 16, 28, 32, 48, 64, 96, 128, 160, 224])
def test_the_network_from_scratch_ends_in_a_small_map(side):
    network = NetworkConfig(layers=LAYERS_FROM_SCRATCH(side), norm="batch", head="gap")
    maps = [layer.output_shape for layer in resolve(network, (3, side, side), 5) if len(layer.output_shape) == 3]
    assert 3 <= maps[-2][-1] <= 8 or maps[-2][-1] == side


def test_the_makespan_of_runs():
    assert rules.makespan([3, 3, 3], 2) == 6
    assert rules.makespan([1, 1, 1, 5], 2) == 6
    assert rules.makespan([], 2) == 0


def candidate(share, least=2, most=50):
    return Candidate("a", "", {}, {}, share, least, most)


def test_the_time_is_shared_and_kept():
    several, costs = [candidate(0.5), candidate(0.2), candidate(0.3)], [Cost(2, 10), Cost(2, 4), Cost(1, 1)]
    epochs = rules.epochs_within(several, costs, seeds=3, at_once=2, seconds=600)
    runs = [cost.of(number) for cost, number in zip(costs, epochs, strict=True) for _ in range(3)]
    assert 0.8 * 600 < rules.makespan(runs, 2) <= 600
    assert epochs[2] == 50  # it has all that is worth it; the others got the rest
    assert epochs[0] * 10 > epochs[1] * 4


def test_too_little_time_is_none():
    several, costs = [candidate(0.5), candidate(0.5)], [Cost(2, 10), Cost(2, 4)]
    needed = rules.needed_seconds(several, costs, 3, 2)
    assert rules.epochs_within(several, costs, 3, 2, needed - 0.1) is None
    assert rules.epochs_within(several, costs, 3, 2, needed) == [2, 2]


def test_much_time_gives_the_most():
    assert rules.epochs_within([candidate(1.0)], [Cost(1, 1)], 3, 2, 1e9) == [50]


BACKBONE = {"torchvision": "resnet18", "pretrained": "/photos/weights, of 'mine'.pth"}


@pytest.mark.parametrize(
    ("backbone", "is_pretrained", "names"),
    [
        (None, True, ["from-scratch", "from-scratch-wide"]),
        (BACKBONE, True, ["fine-tuned", "frozen", "from-scratch"]),
        ({"import": "mine:net"}, False, ["own", "from-scratch"]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_study_file_says_what_was_chosen(backbone, is_pretrained, names, channels):
    several = rules.candidates(backbone, 64, 200, 32, is_pretrained)
    settings = study_file.Settings(
        name="A: name # of 'mine'", source="/data/my: folder # \"x\"", made="Made here.", classes=3,
        size=Chosen(64, "why\nnot"), channels=Chosen(channels, "so"), validation=Chosen(0.2, "few"), batch=Chosen(32, "usual"),
        augment=rules.augmentation(64, channels), is_balanced=True, matters=rules.matters(40), candidates=several,
    )  # fmt: skip
    study, arms, _ = read_study(config.parse(study_file.text(settings), "made.yaml"))
    assert (study.name, study.data.source, study.data.size) == ("A: name # of 'mine'", '/data/my: folder # "x"', 64)
    assert [arm.name for arm in arms] == names
    for arm, each in zip(arms, several, strict=True):
        assert arm.network == NetworkConfig.model_validate(each.network)
        assert (arm.recipe.epochs, arm.recipe.batch_size, arm.recipe.class_weights) == (each.epochs, 32, "balanced")
        assert arm.recipe.optimizer.arguments == {"lr": each.recipe["optimizer"]["lr"], "weight_decay": 0.02}
        assert arm.recipe.augment == AugmentConfig(flip=channels == 3, crop=4)
    assert study.metric == "balanced accuracy"
    assert study.matters == 2.5
    assert all(names[0] in str(comparison) or names[-1] in str(comparison) for comparison in study.comparisons)
