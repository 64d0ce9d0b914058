"""scikit-learn's 1,797 handwritten digits, the dataset that is always there.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998. The 8 x 8 counts of 0 to 16 become
32 x 32 gray levels, so that networks made for CIFAR-10 take them; nothing is added by it.
"""

import numpy as np
from PIL import Image

from striate.data.sources.contents import Contents, Decoded, Found

SIDE = 32


def find() -> Found:
    """The digits, which need no file."""
    return Found("digits", "digits", (), _read)


def _read() -> Contents:
    from sklearn.datasets import load_digits

    digits = load_digits()
    gray = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    large = [Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for image in gray]
    rows = Decoded(digits.target.astype(np.int64), np.stack([np.asarray(image) for image in large])[..., None])
    return Contents("digits", tuple("0123456789"), {"train": rows})
