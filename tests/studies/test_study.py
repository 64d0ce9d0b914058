"""The study file: what it says, and each way of saying it wrong."""

import re

import pytest

from striate.core.errors import ConfigError, NetworkError, RunError, StudyError
from striate.nets import parse
from striate.studies.loaded import built_in, load
from striate.studies.plan import make_plan
from striate.studies.results import Results
from tests.studies.conftest import STUDY, write_study


def changed(before: str, after: str) -> str:
    assert before in STUDY
    return STUDY.replace(before, after)


def test_arms_are_the_base_with_their_changes(study_file):
    study = load(study_file)
    plain, normalized = study.arms
    assert (plain.network.norm, normalized.network.norm) == ("none", "batch")
    assert plain.network.layers == normalized.network.layers
    assert study.study.name == "study"
    assert study.study.seeds == (0, 1)
    assert [str(comparison) for comparison in study.study.comparisons] == ["normalized - plain"]


def test_an_optimizer_in_an_arm_replaces_the_base_s(tmp_path):
    text = changed("{network.norm: batch}", "{recipe.optimizer: {name: SGD, lr: 0.1}}")
    assert load(write_study(tmp_path, text)).arms[1].recipe.optimizer.arguments == {"lr": 0.1}


def test_overrides_reach_every_arm_and_come_after_the_file(study_file):
    study = load(study_file, "recipe.epochs=7", "recipe.optimizer.lr=1e-4", "data.limit=60", seeds=4)
    assert {arm.recipe.epochs for arm in study.arms} == {7}
    assert study.arms[1].recipe.optimizer.lr == 0.0001
    assert study.arms[0].data.limit == 60
    assert study.study.seeds == (0, 1, 2, 3)


def test_a_grid_crosses_its_factors(tmp_path):
    text = STUDY[: STUDY.index("arms:")] + "grid:\n  network.norm: [none, batch]\n  recipe.optimizer.lr: [0.1, 1e-2]\n"
    study = load(write_study(tmp_path, text))
    assert [arm.name for arm in study.arms] == [
        "norm=none lr=0.1",
        "norm=none lr=0.01",
        "norm=batch lr=0.1",
        "norm=batch lr=0.01",
    ]
    assert study.arms[2].network.norm == "batch"
    assert study.arms[2].recipe.optimizer.lr == 0.1
    assert study.study.comparisons == ()


def test_values_of_a_grid_that_look_alike_are_arms_of_their_own(tmp_path):
    factors = ["[{name: SGD, lr: 0.1}, {name: SGD, lr: 0.01}]", "[0.12345671, 0.12345672]"]
    keys = ["recipe.optimizer", "recipe.optimizer.lr"]
    for index, (key, values) in enumerate(zip(keys, factors, strict=True)):
        text = STUDY[: STUDY.index("arms:")] + f"grid:\n  {key}: {values}\n"
        assert len(load(write_study(tmp_path / str(index), text)).arms) == 2


def test_a_value_given_twice_in_a_grid_is_refused(tmp_path):
    text = STUDY[: STUDY.index("arms:")] + "grid:\n  network.norm: [none, none]\n"
    with pytest.raises(ConfigError, match="grid: 'norm=none' comes out twice; give each value once"):
        load(write_study(tmp_path, text))


def test_a_grid_of_too_many_arms_is_refused_before_any_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr("striate.studies.study.name_arms", lambda *parts: pytest.fail("built"))
    rates = list(range(1, 101))
    text = STUDY[: STUDY.index("arms:")] + f"grid:\n  recipe.epochs: {rates}\n  recipe.batch_size: {rates}\n"
    with pytest.raises(ConfigError, match=r"study\.yaml: grid: a study has at most 1,000 arms, got 10,000"):
        load(write_study(tmp_path, text))


def test_only_what_an_arm_changes_is_validated_again(tmp_path, monkeypatch):
    """The base once; of each arm no part that the base has already."""
    validated = []
    text = STUDY[: STUDY.index("arms:")] + f"grid:\n  recipe.epochs: {list(range(1, 101))}\n"
    path = write_study(tmp_path, text)
    monkeypatch.setattr("striate.nets.config.parse", lambda text: (validated.append(text), parse(text))[1])
    assert len(load(path).arms) == 100
    assert len(validated) == 1


def test_an_unknown_arm_among_many_is_refused_in_a_short_sentence(tmp_path):
    epochs = list(range(1, 101))
    text = STUDY[: STUDY.index("arms:")] + f"grid:\n  recipe.epochs: {epochs}\nclaims: [{{says: x, zz: 1}}]\n"
    with pytest.raises(
        ConfigError, match=r"claims: unknown arm 'zz'; known here: .* \(100 in all\); the other"
    ) as caught:
        load(write_study(tmp_path, text))
    assert len(str(caught.value)) < 600


def test_a_grid_without_values_is_refused(tmp_path):
    text = STUDY[: STUDY.index("arms:")] + "grid:\n  network.norm: []\n"
    with pytest.raises(ConfigError, match=r"grid\.network\.norm: needs a value or more, got an empty list"):
        load(write_study(tmp_path, text))


def test_a_known_name_is_never_a_folder_that_lies_about(study_file, tmp_path, monkeypatch):
    (tmp_path / "cifar10").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(study_file, "data=cifar10").arms[0].data.source == "cifar10"


def test_a_study_that_varies_nothing_has_one_arm(tmp_path):
    study = load(write_study(tmp_path, STUDY[: STUDY.index("arms:")]))
    assert [arm.name for arm in study.arms] == ["base"]
    assert study.study.comparisons == ()


def test_a_path_is_meant_from_the_study_file_and_on_the_command_line_from_here(study_file, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load(study_file).arms[0].data.source == str(tmp_path / "squares.npz")
    (elsewhere / "mine.npz").write_bytes(b"")
    assert load(study_file, "data=mine.npz").arms[0].data.source == str(elsewhere / "mine.npz")


@pytest.mark.parametrize(
    ("key", "values", "paths"),
    [
        ("data", "[squares.npz, digits]", ["squares.npz", "digits"]),
        ("data", "[{source: squares.npz}, {source: other.npz}]", ["squares.npz", "other.npz"]),
        ("data.source", "[squares.npz, other.npz]", ["squares.npz", "other.npz"]),
    ],
)
def test_the_data_of_a_grid_are_meant_from_the_study_file(tmp_path, monkeypatch, key, values, paths):
    (tmp_path / "other.npz").write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    path = write_study(tmp_path, STUDY[: STUDY.index("arms:")] + f"grid:\n  {key}: {values}\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    absolute = [name if name == "digits" else str(tmp_path / name) for name in paths]
    assert [arm.data.source for arm in load(path).arms] == absolute
    monkeypatch.chdir(tmp_path)
    path = write_study(tmp_path / "elsewhere", STUDY[: STUDY.index("arms:")])
    assert [arm.data.source for arm in load(path, f"grid={{{key}: {values}}}").arms] == absolute


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("network.pretrained", "[a.safetensors, b.safetensors]"),
        (
            "network",
            "[{torchvision: resnet18, pretrained: a.safetensors}, {torchvision: resnet18, pretrained: b.safetensors}]",
        ),
    ],
)
def test_the_weights_of_a_grid_are_meant_from_the_study_file(tmp_path, monkeypatch, key, values):
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    text = STUDY.replace("layers: conv4 pool fc8", "torchvision: resnet18")
    path = write_study(tmp_path, text[: text.index("arms:")] + f"grid:\n  {key}: {values}\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    absolute = [str(tmp_path / f"{name}.safetensors") for name in ("a", "b")]
    assert [arm.network.pretrained for arm in load(path).arms] == absolute


def test_a_path_on_the_command_line_may_have_characters_of_yaml(study_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a: b.npz", "2017", "x #1.npz"):
        (tmp_path / name).write_bytes(b"")
        assert load(study_file, f"data={name}").arms[0].data.source == str(tmp_path / name)


def test_a_study_file_s_own_name_is_a_name(study_file):
    path = study_file.rename(study_file.parent / "a\x1b.yaml")
    with pytest.raises(ConfigError, match=r"without 'name', the study file's name must not contain the control char"):
        load(path)
    assert load(path, "name=a").study.name == "a"


def test_a_path_that_is_too_long_is_refused_in_one_sentence(study_file, tmp_path):
    name = "x" * 5000
    with pytest.raises(ConfigError, match="is no file and no built-in study"):
        load(name)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(f"{name}.yaml")
    with pytest.raises(RunError, match="File name too long; choose another --out"):
        load(study_file, out=tmp_path / name)
    with pytest.raises(StudyError, match=r"cannot be read \(File name too long\)$"):
        Results.read(tmp_path / name)
    assert load(study_file, f"data={name}").arms[0].data.source == name


def test_the_folder_for_results_has_a_name(study_file):
    with pytest.raises(ConfigError, match="--out: must name a folder, got ''"):
        load(study_file, out="")


def test_claims_name_arms(tmp_path):
    text = STUDY + "claims:\n  - {says: much better, source: D, plain: 80, normalized: 90.5}\n"
    (claim,) = load(write_study(tmp_path, text)).study.claims
    assert claim.values == {"plain": 80, "normalized": 90.5}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("question:", "qestion:", "study.yaml, line 1: qestion: unknown key; did you mean 'question'?"),
        ("seeds: 2", "sedes: 2", "study.yaml, line 10: sedes: unknown key; did you mean 'seeds'?"),
        ("  epochs: 2", "  epoch: 2", "study.yaml, line 8: recipe.epoch: unknown key; did you mean 'epochs'?"),
        ("  epochs: 2", "  epochs: two", "study.yaml, line 8: recipe.epochs: must be a whole number, got 'two'"),
        ("seeds: 2", "seeds: 0", "study.yaml, line 10: seeds: must be at least 1, got 0"),
        ("seeds: 2", "seeds: [1, 1]", "study.yaml, line 10: seeds: must be different numbers from 0 up, got [1, 1]"),
        ("seeds: 2", "seeds: [-1]", "study.yaml, line 10: seeds: must be different numbers from 0 up, got [-1]"),
        (
            "seeds: 2",
            "seeds: true",
            "study.yaml, line 10: seeds: must be a number of seeds, a list of them, or {looks: [3, 5, 8]}, got True",
        ),
        (
            "seeds: 2",
            "seeds: []",
            "study.yaml, line 10: seeds: must be a number of seeds, a list of them, or {looks: [3, 5, 8]}, got []",
        ),
        (
            "seeds: 2",
            "seeds: 1.5",
            "study.yaml, line 10: seeds: must be a number of seeds, a list of them, or {looks: [3, 5, 8]}, got 1.5",
        ),
        (
            "seeds: 2",
            "compare: [plain - normalized, normalized - plain]",
            "study.yaml, line 10: compare: 'normalized - plain' is planned twice",
        ),
        ("seeds: 2", "matters: 0", "study.yaml, line 10: matters: must be greater than 0, got 0"),
        (
            "  layers: conv4 pool fc8",
            "  layers: conv4 pol fc8",
            "study.yaml, line 4: network.layers: 'pol' is not a layer; did you mean 'pool'?",
        ),
        (
            "network.norm: batch",
            "network.nrm: batch",
            "study.yaml, line 13: arm 'normalized': network.nrm: unknown key; did you mean 'norm'?",
        ),
        (
            "network.norm: batch",
            "network.norm: bach",
            "study.yaml, line 13: arm 'normalized': network.norm: must be one of 'none', 'batch', 'layer', 'group' or "
            "'instance', got 'bach'",
        ),
        (
            "network.norm: batch",
            "networks.norm: batch",
            "study.yaml, line 13: arm 'normalized': networks.norm: an arm changes data, network or recipe; did you mean 'network'?",
        ),
        (
            "network.norm: batch",
            "seeds: 3",
            "study.yaml, line 13: arm 'normalized': seeds: an arm changes data, network or recipe",
        ),
        (
            "{network.norm: batch}",
            "{network.norm: none}",
            "study.yaml, line 11: the arms 'plain' and 'normalized' are alike; change something in one, or remove it",
        ),
        ("  normalized: {", "  plain: {", "study.yaml, line 13: arms.plain: is given twice; keep one of them"),
        (
            "  normalized: {",
            "  a - b: {",
            "study.yaml, line 13: an arm's name needs a letter or digit and no ' - ' in it, got 'a - b'",
        ),
        (
            "  normalized: {",
            "  plain/: {",
            "study.yaml, line 11: the arms 'plain' and 'plain/' would share the folder 'plain'; rename one",
        ),
        (
            "seeds: 2",
            "compare: [normalised - plain]",
            "study.yaml, line 10: compare: 'normalised - plain' names an unknown arm 'normalised'; did you mean 'normalized'?",
        ),
        (
            "seeds: 2",
            "compare: [plain - plain]",
            "study.yaml, line 10: compare: 'plain - plain' compares an arm with itself",
        ),
        (
            "seeds: 2",
            "compare: [plain-normalized]",
            "study.yaml, line 10: compare.0: a comparison is written 'first - second', with spaces around the minus, "
            "got 'plain-normalized'",
        ),
        (
            "seeds: 2",
            "grid: {network.norm: [none, batch]}",
            "study.yaml: give 'arms' (named variations), 'grid' (factors to cross) or 'scale' (one ordered axis), not both",
        ),
        (
            "seeds: 2",
            "claims: [{says: x, plane: 3}]",
            "study.yaml, line 10: claims: unknown arm 'plane'; did you mean 'plain'?",
        ),
        (
            "network.norm: batch",
            "network: {norm: batch}",
            "study.yaml, line 13: arm 'normalized': network: give one of layers, family, torchvision and "
            "import, got none of them; "
            "'network' was given as a whole: write 'network.KEY: value' to change one key of it",
        ),
        (
            "  normalized: {",
            "  PLAIN: {",
            "study.yaml, line 11: the arms 'plain' and 'PLAIN' would share the folder 'plain'; rename one",
        ),
        (
            "  normalized: {",
            "  study.yaml: {",
            "study.yaml, line 11: an arm cannot be called 'study.yaml': a file of the study has that name",
        ),
        ("arms:", "arms: [", "study.yaml, line 13: not valid YAML: "),
        (
            "seeds: 2",
            "seeds: 1001",
            "study.yaml, line 10: seeds: must be at most 1,000 seeds, got 1,001; write [1001] for",
        ),
        (
            "seeds: 2",
            "seeds: 10000000000",
            "study.yaml, line 10: seeds: must be at most 1,000 seeds, got 10,000,000,000",
        ),
        (
            "seeds: 2",
            "seeds: [4294967296]",
            "study.yaml, line 10: seeds: a seed is at most 4294967295 (32 bits), got 4294967296",
        ),
        (
            "Does batch normalization help?",
            "''",
            "study.yaml, line 1: question: must be a question in your words, got ''",
        ),
        (
            "Does batch normalization help?",
            "'  '",
            "study.yaml, line 1: question: must be a question in your words, got '  '",
        ),
        ("seeds: 2", "matters: 101", "study.yaml, line 10: matters: must be less than or equal to 100, got 101"),
        (
            "  normalized: {",
            '  "b\\e": {',
            "study.yaml, line 13: an arm's name must not contain the control character \\x1b, got 'b\\x1b'",
        ),
        (
            "  normalized: {",
            f"  {'b' * 101}: {{",
            "study.yaml, line 13: an arm's name must have at most 100 characters, got 101",
        ),
        ("  normalized: {", "  '': {", "study.yaml, line 13: an arm's name must not be empty"),
        (
            "seeds: 2",
            'name: "a\\e[31m"',
            "study.yaml, line 10: name: the study's name must not contain the control character \\x1b, got 'a\\x1b[31m'",
        ),
        (
            "seeds: 2",
            'compare: ["plain - b\\ec"]',
            "study.yaml, line 10: compare.0.second: an arm's name must not contain the control character \\x1b, got 'b\\x1bc'",
        ),
        (
            "Does batch normalization help?",
            '"Does \\e it?"',
            "study.yaml, line 1: question: must not contain control characters, got 'Does \\x1b it?'",
        ),
        (
            "seeds: 2",
            'claims: [{says: "\\a"}]',
            "study.yaml, line 10: claims.0.says: must not contain control characters, got '\\x07'",
        ),
        (
            "seeds: 2",
            "claims: [{says: x, plain: 101}]",
            "study.yaml, line 10: claims.0: 'plain': an accuracy is in percent, from 0 to 100, got 101",
        ),
        (
            "seeds: 2",
            "claims: [{says: x, plain: -1}]",
            "study.yaml, line 10: claims.0: 'plain': an accuracy is in percent, from 0 to 100, got -1",
        ),
        (
            "seeds: 2",
            "claims: [{says: x, zz: 3}]",
            "study.yaml, line 10: claims: unknown arm 'zz'; known here: normalized, plain; "
            "the other keys of a claim are 'says', 'source', 'relation' and 'differs'",
        ),
    ],
)
def test_a_study_that_is_wrong_is_refused_in_one_sentence(tmp_path, before, after, message):
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        load(write_study(tmp_path, changed(before, after)))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.epochs=ten", "on the command line: recipe.epochs: must be a whole number, got 'ten'"),
        ("recipe.epoch=10", "on the command line: recipe.epoch: unknown key; did you mean 'epochs'?"),
        ("recipe", "on the command line: an override is written key.sub=value, got 'recipe'"),
        ("recipe.epochs=[", "on the command line: recipe.epochs: not valid YAML: expected the node content"),
    ],
)
def test_an_override_that_is_wrong_is_refused_in_one_sentence(study_file, override, message):
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        load(study_file, override)


def test_a_number_with_an_exponent_in_a_study_is_a_number(tmp_path):
    assert load(write_study(tmp_path, changed("lr: 0.01", "lr: 1e-3"))).arms[0].recipe.optimizer.lr == 0.001


def test_an_unknown_study_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"quickstrat: is no file and no built-in study; did you mean 'quickstart'\?"):
        load("quickstrat")


@pytest.mark.parametrize("name", sorted(built_in()))
def test_every_built_in_study_asks_a_question_and_plans_how_it_is_answered(name):
    study = load(name).study
    assert study.question.endswith("?")
    assert study.comparisons or study.left_out or study.grid or study.scale or study.search or study.claims
    assert len(study.seeds) >= 3


def test_the_plan_lists_each_run_once(study_file, tmp_path):
    study = load(study_file, out=tmp_path / "runs")
    plan = make_plan(study.study, study.arms, study.folder)
    assert [(run.arm, run.seed, run.state) for run in plan.runs] == [
        ("plain", 0, "new"),
        ("plain", 1, "new"),
        ("normalized", 0, "new"),
        ("normalized", 1, "new"),
    ]
    assert len({run.job.fingerprint for run in plan.runs}) == 4
    assert plan.parameters == {"plain": 4 * 10 + 8 * 65 + 3 * 9, "normalized": 4 * 10 + 8 * 65 + 3 * 9 + 8 + 16}
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "conv4 pool fc8",
            "conv4 pool pool pool pool fc8",
            "arm 'plain' on squares (1x8x8): layer pool4: a 2-wide kernel does not fit the 4x1x1 map",
        ),
        (
            "epochs: 2",
            "epochs: 2\n  augment: {crop: 8}",
            "arm 'plain' on squares (1x8x8): recipe.augment.crop: must be under 8, the shorter side of these images, got 8",
        ),
        (
            "epochs: 2",
            "epochs: 2\n  augment: {cutout: 9}",
            "arm 'plain' on squares (1x8x8): recipe.augment.cutout: must be at most 8, the shorter side of these images, got 9",
        ),
        ("data: squares.npz", "data: gone.npz", "gone.npz"),
        (
            "epochs: 2",
            "epochs: 2\n  precise_norm: 109",
            "arm 'plain' on squares (1x8x8): recipe.precise_norm: must be at most 108, the images of the training split, got 109",
        ),
        (
            "{network.norm: batch}",
            "{network.norm: batch, network.freeze: up-to conv1_norm, recipe.batch_size: 1}",
            "arm 'normalized' on squares (1x8x8): recipe.batch_size: the batch norm of layer fc1 must have two values",
        ),
        (
            "layers: conv4 pool fc8",
            "import: tests.studies.test_study:lazy_module",
            "tests.studies.test_study:lazy_module gives (2, 1, 8, 3) for 2 images; 3 classes need (2, 3)",
        ),
        (
            "layers: conv4 pool fc8",
            "import: tests.studies.test_study:normalized_module\n  pretrained: empty.pth",
            "empty.pth: cannot be read as weights (EOFError)",
        ),
    ],
)
def test_what_does_not_fit_the_images_is_refused_before_training(tmp_path, before, after, message):
    path = write_study(tmp_path, changed(before, after).replace("network.norm: batch}", "recipe.epochs: 3}"))
    (tmp_path / "empty.pth").write_bytes(b"")
    study = load(path, out=tmp_path / "runs")
    with pytest.raises(ValueError, match=re.escape(message)):
        study.plan()
    assert not (tmp_path / "runs").exists()


def test_a_batch_of_one_image_is_refused_where_a_module_of_ones_own_cannot_train_on_it(tmp_path):
    path = write_study(
        tmp_path, changed("layers: conv4 pool fc8", "import: tests.studies.test_study:normalized_module")
    )
    path.write_text(path.read_text().replace("network.norm: batch", "recipe.batch_size: 1"))
    with pytest.raises(
        NetworkError, match="cannot train on a batch of 1 image: ValueError: Expected more than 1 value"
    ):
        load(path, out=tmp_path / "runs").plan()
    load(path, "network.freeze=up-to 2", out=tmp_path / "runs").plan()


def test_a_frozen_batch_norm_takes_a_batch_of_one_image(tmp_path):
    text = changed(
        "{network.norm: batch}", "{network.norm: batch, recipe.batch_size: 1, network.freeze: up-to fc1_norm}"
    )
    load(write_study(tmp_path, text), out=tmp_path / "runs").plan()


def lazy_module(classes):
    from torch import nn

    return nn.LazyLinear(classes)


def normalized_module(classes, input_shape):
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, classes))
