"""The files of a run and of a study: their names and what each holds.

Only this module spells file names. The reader accepts every format that a release has written, the writer writes the
newest. A run without a summary is unfinished, whatever else it holds.

    runs/<study>/study.yaml  report.html  audit.json  audit.html
    runs/<study>/<arm>/seed-0/
      run.yaml              what decides the run, its fingerprint, the format
      env.json              machine, versions, threads, precision
      network.json          the layers of the network: shapes, parameters, receptive fields
      metrics.jsonl         a line an epoch
      summary.json          how the run ended, and its results
      log.txt               the traceback of a failure; loggers that were given up, and why
      last.pt, last.npz     the whole state, to resume (PyTorch, NumPy); removed when the run is finished, kept when it diverged
      best.safetensors      weights of the best epoch by validation
      final.safetensors     weights after the last epoch
      predictions.npz       logits and labels of the validation and test images
      model.onnx, model.pt2 the network with normalization and softmax, for other programs, as exported
      logged-<logger>.json  the last epoch that the logger has, and its name for the run
      tensorboard/  wandb/  files of those loggers
      explain/              pictures of the inside of the network: index.html, explain.json, PNG files
      explain/report/       those that report.html shows: explain.json, PNG files
    runs/<study>/model/     what `striate train` made: model.safetensors with all that predictions need, model.onnx, MODEL_CARD.md
    runs/<study>/search/    the trials of a search: trials.log (Optuna's storage), and a study's folder for each trial
    runs/<study>/mlflow.db  mlruns/   files of MLflow, unless it has a server
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

FORMAT = 1
LONGEST = 60

RUN = "run.yaml"
ENVIRONMENT = "env.json"
NETWORK = "network.json"
METRICS = "metrics.jsonl"
SUMMARY = "summary.json"
LOG = "log.txt"
CHECKPOINT = "last.pt"  # of the PyTorch engine; version 0.1.0 gave it to every engine
CHECKPOINT_NUMPY = "last.npz"  # of the engine from scratch
CHECKPOINTS = (CHECKPOINT, CHECKPOINT_NUMPY)
BEST = "best.safetensors"
FINAL = "final.safetensors"
PREDICTIONS = "predictions.npz"
MODEL_ONNX = "model.onnx"
MODEL_TORCH = "model.pt2"
MODEL = "model"
MODEL_WEIGHTS = "model.safetensors"
MODEL_CARD = "MODEL_CARD.md"
EXPLAIN = "explain"
EXPLAIN_PAGE = "index.html"
EXPLAIN_RECORD = "explain.json"
EXPLAIN_REPORT = "report"
LOCK = ".lock"
TENSORBOARD = "tensorboard"
MLFLOW = "mlflow.db"
MLFLOW_FILES = "mlruns"
MLFLOW_LOCK = ".mlflow.lock"

SEARCH = "search"
STUDY = "study.yaml"
REPORT = "report.html"
AUDIT = "audit.json"
AUDIT_PAGE = "audit.html"


def run_folder(study: Path, arm: str, seed: int) -> Path:
    """The folder of one run."""
    return study / slug(arm) / f"seed-{seed}"


def runs_in(study: Path) -> Iterator[tuple[str, int]]:
    """The name of the arm's folder and the seed of each run in a study's folder."""
    for path in study.glob(f"*/seed-*/{RUN}"):
        seed = path.parent.name.removeprefix("seed-")
        if seed.isdecimal():
            yield path.parent.parent.name, int(seed)


def seeds_in(arm: Path) -> list[Path]:
    """The folders of an arm's runs, by seed."""
    seeds = {path.parent: path.parent.name.removeprefix("seed-") for path in arm.glob(f"seed-*/{RUN}")}
    return sorted((path for path, seed in seeds.items() if seed.isdecimal()), key=lambda path: int(seeds[path]))


def ledger(logger: str) -> str:
    """The file of a run that says how far a logger is."""
    return f"logged-{logger}.json"


def slug(name: str) -> str:
    """A file name for an arm or a study: letters, digits and -_.=+, everything else a dash; long ones are cut."""
    plain = re.sub(r"[^\w.=+-]+", "-", unicodedata.normalize("NFC", name)).strip("-.") or "unnamed"
    if len(plain) <= LONGEST:
        return plain
    # File systems allow 255 bytes; what is cut off still tells two names apart.
    return f"{plain[:LONGEST].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
