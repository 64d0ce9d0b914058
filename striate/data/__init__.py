"""Images in, datasets and splits out; NumPy only.

Sources are digits, CIFAR-10, folders of images, parquet and .npz files. The digest of a dataset says what its images
are, wherever they lie.
"""

from striate.data.config import DataConfig
from striate.data.dataset import Dataset, Part
from striate.data.load import NAMES, load
from striate.data.splits import Splits, mean_std, split

__all__ = ["NAMES", "DataConfig", "Dataset", "Part", "Splits", "load", "mean_std", "split"]
