"""Pictures of the inside of a run, as `striate explain` leaves them, with made pixels."""

import io

import numpy as np
from PIL import Image

from striate.runs.explained import digest
from striate.runs.files import write_text
from striate.runs.records import Explained, ExplainedPicture, ExplainedSection

NAMES = ("filters-conv1", "patches-conv1-3")


def png(width=6, seed=0):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, width, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def record(of, width=6, **changes):
    parts = [
        ExplainedSection(
            kind=name.split("-")[0],
            title=name.split("-")[0].capitalize(),
            text=("What it <shows>.",),
            pictures=(
                ExplainedPicture(file=f"{name}.png", title=f"Picture {name}", caption="Said.", width=width, height=6),
            ),
        )
        for name in NAMES
    ]
    values = {"run": "a run", "weights": "best.safetensors", "digest": of, "sections": tuple(parts)}
    return Explained(**values | changes)


def explain(run, width=6, **changes):
    """Pictures of a run as `striate explain` leaves them; the run's folder `explain/report`."""
    weights = run / "best.safetensors"
    if not weights.exists():
        weights.write_bytes(b"weights of " + run.parent.name.encode())
    folder = run / "explain" / "report"
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        (folder / f"{name}.png").write_bytes(png(width, seed=number))
    write_text(folder / "explain.json", record(digest(weights), width, **changes).model_dump_json())
    return folder
