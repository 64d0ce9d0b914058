"""Study folders with made numbers, written by hand: no engine, no writer of ours."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from striate.runs.layout import slug

CLASSES = [str(n) for n in range(10)]
DATA = {
    "name": "digits",
    "classes": CLASSES,
    "train": 1293,
    "validation": 144,
    "test": 360,
    "shape": [1, 8, 8],
    "mean": [0.3],
    "std": [0.35],
    "notes": ["16 grey levels"],
    "digest": "0123456789abcdef0123",
    "test_digest": "fedcba98",
}
ENVIRONMENT = {
    "striate": "0.1.0",
    "python": "3.12.3",
    "torch": "2.11.0",
    "numpy": "2.3.1",
    "platform": "Linux x86_64",
    "device": "cpu",
    "device_name": "a processor",
    "precision": "float32",
    "threads": 2,
    "channels_last": True,
    "commit": "3f2a91c",
}
STUDY: dict[str, Any] = {
    "question": "Does batch normalization help, and by how much?",
    "data": "digits",
    "network": {"layers": "conv16 pool conv32 pool fc64", "norm": "none"},
    "recipe": {"optimizer": {"name": "Adam", "lr": 0.001}, "batch_size": 64, "epochs": 12},
    "seeds": 3,
    "arms": {"plain": {}, "normalized": {"network.norm": "batch"}},
    "compare": ["normalized - plain"],
    "matters": 0.5,
}


def write_study(folder: Path, **changes: Any) -> Path:
    """A study file, with top-level keys replaced (None removes one)."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {key: value for key, value in {**STUDY, **changes}.items() if value is not None}
    (folder / "study.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return folder


def write_run(
    folder: Path, arm: str, seed: int, *, test: float | None, epochs: int = 12, state: str = "finished", **more: Any
) -> Path:
    """One run: `test` is its accuracy as a share, `folder` the study's, `arm` the name of the arm's folder."""
    place = folder / arm / f"seed-{seed}"
    place.mkdir(parents=True)
    (place / "run.yaml").write_text(f"format: 1\nfingerprint: aaaabbbbcccc\nseed: {seed}\n", encoding="utf-8")
    (place / "env.json").write_text(json.dumps(ENVIRONMENT | more.pop("environment", {})), encoding="utf-8")
    rows = more.pop("metrics", None) or metrics(arm, seed, test if test is not None else 0.5, epochs)
    (place / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if state != "unfinished":
        (place / "summary.json").write_text(json.dumps(summary(state, test, len(rows)) | more), encoding="utf-8")
    return place


def summary(state: str, test: float | None, epochs: int) -> dict[str, Any]:
    return {
        "state": state,
        "reason": "",
        "epochs": epochs,
        "best_epoch": max(epochs - 2, 1),
        "seconds": 8.25,
        "parameters": 21034,
        "classes": 10,
        "validation_accuracy": None if test is None else test + 0.004,
        "validation_loss": 0.21,
        "test_accuracy": test,
        "test_loss": 0.25,
        "test_images": 360,
        "test_opened_because": "the run has ended",
        "at_chance": False,
        "data": DATA,
    }


def metrics(arm: str, seed: int, final: float, epochs: int) -> list[dict[str, Any]]:
    """A training as one expects it: loss falls, validation loss turns up a little, accuracy levels off at `final`."""
    noise = np.random.default_rng([seed, *arm.encode()])
    rows = []
    for epoch in range(1, epochs + 1):
        share = epoch / epochs
        done = 1 - math.exp(-4.5 * share)
        rows.append(
            {
                "epoch": epoch,
                "train_loss": 2.3 * (1 - 0.97 * done) + 0.02 * abs(noise.normal()),
                "train_accuracy": final * done,
                "validation_loss": 2.3 * (1 - final * done) + 0.25 * max(share - 0.5, 0) + 0.03 * noise.normal(),
                "validation_accuracy": min(final * (0.35 + 0.65 * done) + 0.008 * noise.normal(), 1.0),
                "learning_rate": 0.001,
                "images_per_second": 15000 + 100 * noise.normal(),
                "seconds": 0.6,
            }
        )
    return rows


TEST = {"plain": (0.951, 0.944, 0.948), "normalized": (0.968, 0.963, 0.971)}


def two_arms(folder: Path, **changes: Any) -> Path:
    """2 arms x 3 seeds, all finished."""
    write_study(folder, **changes)
    for arm, shares in TEST.items():
        for seed, share in enumerate(shares):
            write_run(folder, arm, seed, test=share)
    return folder


def troubled(folder: Path) -> Path:
    """One run failed, one diverged, one unfinished, one stayed at chance; one arm is missing."""
    arms = {
        "plain": {},
        "normalized": {"network.norm": "batch"},
        "fast": {"recipe.optimizer.lr": 0.1},
        "wide": {"recipe.epochs": 13},
    }
    write_study(folder, arms=arms, compare=["normalized - plain", "fast - plain", "wide - plain"])
    for seed, share in enumerate(TEST["plain"]):
        write_run(folder, "plain", seed, test=share)
    write_run(folder, "normalized", 0, test=0.968)
    write_run(
        folder,
        "normalized",
        1,
        test=None,
        epochs=3,
        state="failed",
        reason="/home/somebody/runs/x.pt: no space left on the disk",
    )
    write_run(folder, "normalized", 2, test=None, epochs=5, state="unfinished")
    write_run(
        folder, "fast", 0, test=None, state="diverged", reason="the loss is not finite in epoch 3", metrics=exploding()
    )
    write_run(folder, "fast", 1, test=0.101, at_chance=True)
    write_run(folder, "fast", 2, test=0.90)
    return folder


def exploding() -> list[dict[str, Any]]:
    rows = metrics("fast", 0, 0.3, 3)
    rows[1] |= {"train_loss": 5e12, "validation_loss": 7e12}
    rows[2] |= {"train_loss": None, "validation_loss": None}
    return rows


def many(folder: Path, *, arms: int = 8, seeds: int = 5, epochs: int = 60) -> Path:
    """The size that the budget is written for."""
    names = [f"arm {letter}" for letter in "abcdefghij"[:arms]] if arms <= 10 else [f"arm {n}" for n in range(arms)]
    changes = {name: {"recipe.optimizer.lr": 0.001 * (i + 1)} for i, name in enumerate(names)}
    write_study(folder, arms=changes, seeds=seeds, compare=None)
    for i, name in enumerate(names):
        for seed in range(seeds):
            noise = np.random.default_rng([i, seed]).normal()
            write_run(
                folder,
                name.replace(" ", "-"),
                seed,
                test=0.90 + min(0.008, 0.07 / arms) * i + 0.003 * noise,
                epochs=epochs,
            )
    return folder


def small_module(classes: int) -> Any:
    """Somebody's own network for the fixture's 1x8x8 images: 64 weights and a bias for each class."""
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


def wide(folder: Path) -> Path:
    """All that makes a page wide: the longest names without a space, 8 arms, 20 seeds, long words everywhere."""
    names = [f"{letter * 92}-arm-{i:03}" for i, letter in enumerate("abcdefgh")]
    arms = {name: {"recipe.optimizer.lr": 0.001 * (i + 1)} for i, name in enumerate(names)}
    word = "x" * 300
    claim = {"says": word, "source": word, names[0]: 90.0}
    write_study(folder, question=word, arms=arms, seeds=20, compare=None, claims=[claim])
    data = DATA | {"name": word, "classes": [f"{n}{'y' * 200}" for n in range(10)], "notes": [word]}
    for name in names:
        for seed in range(20):
            end = {"state": "failed", "reason": word} if seed == 7 else {}
            accuracy = 0.95 + 0.001 * seed if seed != 7 else None
            write_run(
                folder, slug(name), seed, test=accuracy, epochs=3, data=data, environment={"device_name": word}, **end
            )
    return folder


HOSTILE = (
    "<script>alert('x')</script>",
    '\N{GRINNING FACE} emoji \N{FAMILY} & "quotes"',
    "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}\N{HEBREW LETTER VAV}\N{HEBREW LETTER FINAL MEM} lr=0.1",
    "\N{ARABIC LETTER MEEM}\N{ARABIC LETTER REH}\N{ARABIC LETTER HAH}\N{ARABIC LETTER BEH}\N{ARABIC LETTER ALEF}",
    "w" * 100,
    "{{ jinja }} %s &amp; </td>",
)


def hostile(folder: Path) -> Path:
    """One seed, names of every kind, and each way in which a run can fail."""
    arms = {name: {"recipe.optimizer.lr": 0.001 * (i + 1)} for i, name in enumerate(HOSTILE)}
    first, second, third, fourth, fifth, _ = map(slug, HOSTILE)
    compare = [f"{name} - {HOSTILE[0]}" for name in HOSTILE[1:]]
    write_study(folder, question=f"Is {HOSTILE[0]} & {HOSTILE[2]} better?", arms=arms, seeds=1, compare=compare)
    data = DATA | {"name": HOSTILE[0], "classes": [f"{n} {HOSTILE[n % 4]}" for n in range(10)], "notes": [HOSTILE[1]]}
    images = np.arange(360) % 10
    place = write_run(folder, first, 0, test=0.9, data=data)
    write_answers(place, 0.9, labels=images)
    write_run(folder, second, 0, test=None, state="failed", epochs=1, reason=f"{HOSTILE[0]} \x1b[31m", data=data)
    write_run(folder, third, 0, test=None, state="diverged", reason="the loss is not finite", metrics=exploding())
    write_run(folder, fourth, 0, test=None, state="unfinished", epochs=2)
    write_answers(write_run(folder, fifth, 0, test=0.93, data=data), 0.93, labels=images)
    return folder


def write_answers(place: Path, test: float, *, labels: np.ndarray, classes: int = 10) -> np.ndarray:
    """predictions.npz and the scores in summary.json of a run: wrong answers are the next class. Returns the logits."""
    noise = np.random.default_rng([int(1e6 * test), int(place.name.rpartition("-")[2])])
    wrong = noise.random(len(labels)) >= test
    answers = np.where(wrong, (labels + 1) % classes, labels)
    logits = np.eye(classes)[answers] * noise.uniform(1.5, 6.0, len(labels))[:, None]
    logits = logits.astype(np.float32)
    np.savez(place / "predictions.npz", test_logits=logits, test_labels=labels)
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (labels, answers), 1)
    content = json.loads((place / "summary.json").read_text())
    per_class = [float(row[k] / row.sum()) if row.sum() else None for k, row in enumerate(table)]
    content["test"] = {"per_class": per_class, "calibration_error": 0.04, "confusion": table.tolist()}
    content["test_accuracy"] = float(np.trace(table) / table.sum())
    (place / "summary.json").write_text(json.dumps(content), encoding="utf-8")
    return logits


def answered(folder: Path, *, classes: int = 10, images: int = 400, **changes: Any) -> Path:
    """2 arms x 3 seeds, with answers to each test image."""
    names = [f"class {n}" for n in range(classes)]
    write_study(folder, **changes)
    labels = np.arange(images) % classes
    data = DATA | {"classes": names, "test": images}
    for arm, shares in {"plain": (0.83, 0.85, 0.84), "normalized": (0.91, 0.90, 0.92)}.items():
        for seed, share in enumerate(shares):
            size = {"parameters": 21034 if arm == "plain" else 31000, "seconds": 8.0 if arm == "plain" else 12.0}
            place = write_run(folder, arm, seed, test=share, data=data, classes=classes, test_images=images, **size)
            write_answers(place, share, labels=labels, classes=classes)
    return folder
