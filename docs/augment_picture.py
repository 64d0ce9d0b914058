"""Draw docs/images/augment.png: what each kind of augmentation does to two synthetic images.

python docs/augment_picture.py
"""

from pathlib import Path

import numpy as np

PATH = Path(__file__).parent / "images" / "augment.png"
SIDE, GAP, LABEL, COLUMNS, BLOCKS = 64, 3, 96, 6, 2
CELL = SIDE + GAP

KINDS: dict[str, dict[str, float | bool]] = {
    "none": {},
    "flip: true": {"flip": True},
    "crop: 12": {"crop": 12},
    "rotate: 30": {"rotate": 30},
    "scale: 0.3": {"scale": 0.3},
    "brightness: 0.5": {"brightness": 0.5},
    "contrast: 0.7": {"contrast": 0.7},
    "saturation: 1": {"saturation": 1},
    "hue: 0.2": {"hue": 0.2},
    "cutout: 24": {"cutout": 24},
    "erase: 1": {"erase": 1},
    "mixup: 1": {"mixup": 1},
    "cutmix: 1": {"cutmix": 1},
    "strength: 3": {"strength": 3},
    "strength: 6": {"strength": 6},
    "strength: 9": {"strength": 9},
}


def make_images() -> np.ndarray:
    """A boat on the sea and a tree on a hill, alternating, N x H x W x 3."""
    return np.stack([(make_boat, make_tree)[i % 2]() for i in range(COLUMNS)])


def make_boat() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = _gradient((120, 180, 235), (225, 235, 240), y / 0.6)
    image[np.hypot(y - 0.18, x - 0.2) < 0.09] = (250, 205, 70)
    sea = y > 0.62 + 0.015 * np.sin(x * 40)
    image[sea] = _gradient((40, 110, 160), (15, 55, 95), (y - 0.6) / 0.4)[sea]
    image[(x > 0.5) & (x < 0.53) & (y > 0.15) & (y < 0.6)] = (90, 60, 40)
    image[(x > 0.54) & (y > 0.18) & (y < 0.55) & (x - 0.54 < (y - 0.18) * 0.8)] = (245, 240, 225)
    image[(x < 0.49) & (y > 0.25) & (y < 0.55) & (0.49 - x < (y - 0.25) * 0.7)] = (215, 70, 55)
    image[(y > 0.58) & (y < 0.7) & (np.abs(x - 0.53) < 0.36 - (y - 0.58) * 1.2)] = (130, 50, 40)
    return image


def make_tree() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = _gradient((235, 170, 130), (250, 225, 190), y / 0.8)
    hill = y > 0.72 + 0.25 * (x - 0.3) ** 2
    image[hill] = _gradient((110, 150, 60), (60, 95, 40), (y - 0.7) / 0.3)[hill]
    image[(np.abs(x - 0.36) < 0.035 + 0.03 * (y > 0.7)) & (y > 0.45) & (y < 0.8)] = (85, 55, 35)
    for row, column, radius in ((0.33, 0.36, 0.2), (0.42, 0.22, 0.13), (0.42, 0.5, 0.14)):
        distance = np.hypot(y - row, x - column)
        image[distance < radius] = (45, 115, 55)
        image[np.hypot(y - row + 0.04, x - column + 0.04) < radius * 0.5] = (80, 155, 75)
    image[np.hypot(y - 0.4, x - 0.3) < 0.03] = (200, 40, 45)
    image[np.hypot(y - 0.3, x - 0.45) < 0.03] = (200, 40, 45)
    return image


def augment(kinds: dict[str, float | bool]) -> np.ndarray:
    """The images augmented by the draws of one epoch, mixing included."""
    from striate.data.augment import AugmentConfig, apply, draw, mix

    images = make_images()
    draws = draw(19, 0, np.arange(len(images)), (SIDE, SIDE, 3), AugmentConfig(**kinds))
    result = apply(images, draws).astype(np.float32)
    return np.rint(mix(result, np.roll(result, -1, axis=0), draws)).astype(np.uint8)


def draw_sheet() -> np.ndarray:
    """A row for each kind, without the labels."""
    rows = -(-len(KINDS) // BLOCKS)
    sheet = np.full((rows * CELL + GAP, BLOCKS * (LABEL + COLUMNS * CELL) + GAP, 3), 255, np.uint8)
    for index, kinds in enumerate(KINDS.values()):
        top, left = _corner(index)
        for column, tile in enumerate(augment(kinds)):
            start = left + LABEL + column * CELL
            sheet[top : top + SIDE, start : start + SIDE] = tile
    return sheet


def write() -> None:
    from PIL import Image, ImageDraw

    image = Image.fromarray(draw_sheet())
    canvas = ImageDraw.Draw(image)
    for index, label in enumerate(KINDS):
        top, left = _corner(index)
        canvas.text((left + 4, top + SIDE // 2 - 6), label, fill=(40, 40, 40))
    PATH.parent.mkdir(exist_ok=True)
    image.save(PATH, optimize=True)


def _corner(index: int) -> tuple[int, int]:
    rows = -(-len(KINDS) // BLOCKS)
    return GAP + index % rows * CELL, GAP + index // rows * (LABEL + COLUMNS * CELL)


def _gradient(top: tuple[int, int, int], bottom: tuple[int, int, int], share: np.ndarray) -> np.ndarray:
    """From one color at share 0 to another at 1."""
    mixed = np.clip(share, 0, 1)[..., None]
    return (np.array(top) * (1 - mixed) + np.array(bottom) * mixed).astype(np.uint8)


if __name__ == "__main__":
    write()
