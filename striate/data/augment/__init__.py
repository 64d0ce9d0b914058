"""Augmentation: random numbers are drawn first, and an engine applies them afterwards.

`draw` makes the numbers of an epoch from an `AugmentConfig`. `apply` and `mix` apply them with NumPy: the reference for
`engines.pytorch.augment`, and what an engine without torch trains with. The steps, in this order:

1. geometry: flip, shift, rotation and scale, shear, move, in one resampling (bilinear, black outside); with flip and
   shift alone, whole pixels are copied and nothing is rounded
2. color: brightness, contrast, saturation and hue in float32, then rounded to whole levels, once
3. levels: autocontrast, posterize, solarize, on whole levels
4. boxes: cutout, then random erasing
5. normalization, which the engine does
6. mixing: each image with the next one of the epoch's order (the last with the first), as that one is augmented
"""

from striate.data.augment.config import AugmentConfig, check_fits
from striate.data.augment.draws import Draws, draw
from striate.data.augment.reference import apply, mix

__all__ = ["AugmentConfig", "Draws", "apply", "check_fits", "draw", "mix"]
