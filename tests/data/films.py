"""Films of a few frames each, as a script would export them: the scene of a film says more about a frame than its class does.

`python -m tests.data.films FOLDER` writes the folder, to try the commands on.
"""

import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ("ants", "bees")
FRAMES = 20
SIDE = 12


def films(count=12, frames=FRAMES, seed=0):
    """Images, labels and the number of each image's film: `count` films of each class, one after the other."""
    rng = np.random.default_rng(seed)
    of_class = rng.normal(0, 1, (len(CLASSES), SIDE, SIDE, 3))
    images, labels, numbers = [], [], []
    for film in range(len(CLASSES) * count):
        label = film % len(CLASSES)
        scene = rng.normal(0, 4, (SIDE, SIDE, 3)) + 0.3 * of_class[label]
        for _ in range(frames):
            images.append(128 + 20 * (scene + rng.normal(0, 0.5, scene.shape)))
            labels.append(label)
            numbers.append(film)
    return np.clip(images, 0, 255).astype(np.uint8), np.array(labels), np.array(numbers)


def write_folder(home: Path, images, labels, numbers, name="{label}/film{film:02}/{frame:04}.png") -> Path:
    """The frames as files whose paths say class and film."""
    for frame, (image, label, film) in enumerate(zip(images, labels, numbers, strict=True)):
        path = home / name.format(label=CLASSES[label], film=film, frame=frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return home


def write_parquet(home: Path, images, labels, numbers, part="all", names=None) -> Path:
    """The frames as rows with a column `film`."""
    home.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "image": [{"bytes": _png(image), "path": None} for image in images],
            "label": [CLASSES[label] for label in labels],
            "film": [names[film] if names else int(film) for film in numbers],
        }
    )
    pq.write_table(table, home / f"{part}.parquet")
    return home


def _png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    print(write_folder(Path(sys.argv[1]), *films()))  # noqa: T201
