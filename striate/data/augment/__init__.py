"""Augmentation: numbers are drawn first, and an engine applies them afterwards.

`draw` makes the numbers of an epoch. `apply` and `mix` are the application in NumPy: the reference that
`training.augment` is held to, and what an engine without torch trains with. The steps, in this order:

1. geometry: mirrored, shifted, turned and scaled, sheared, moved, in one resampling (bilinear, black outside);
   with mirroring and shifting alone, whole pixels are copied and nothing is rounded
2. color: brightness, contrast, saturation, hue in float32, then rounded to whole levels, once
3. levels: autocontrast, posterize, solarize, on whole levels
4. boxes: cutout, then erase
5. normalization, which is the engine's
6. mixing: each image with the one after it in the epoch's order, augmented as that one is
"""

from striate.data.augment.drawing import check, draw
from striate.data.augment.draws import Draws
from striate.data.augment.reference import apply, mix

__all__ = ["Draws", "apply", "check", "draw", "mix"]
