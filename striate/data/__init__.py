"""From a study file's `data` to a dataset and its splits, in NumPy only.

Sources are digits, CIFAR-10, folders of images, parquet and .npz files. The digest of a dataset identifies its images,
wherever they are stored.
"""

from striate.data.dataset import DataConfig, Dataset, Part
from striate.data.loading import is_named, load
from striate.data.part_notes import is_shared_note, is_unequal
from striate.data.sources.torchvision_files import no_download
from striate.data.splits import Splits, batch_slices, epoch_order, mean_std, split

__all__ = [
    "DataConfig",
    "Dataset",
    "Part",
    "Splits",
    "batch_slices",
    "epoch_order",
    "is_named",
    "is_shared_note",
    "is_unequal",
    "load",
    "mean_std",
    "no_download",
    "split",
]
