"""Images that built-in studies use and that you bring: folders of photographs that are not downloaded by themselves."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OwnFolder:
    """A folder of images by its name, what it holds, and where to get it."""

    name: str
    holds: str
    get: str


OWN_FOLDERS = {
    folder.name: folder
    for folder in (
        OwnFolder(
            "ants_bees",
            "photographs of ants and bees in train/ants, train/bees, val/ants and val/bees",
            "get https://download.pytorch.org/tutorial/hymenoptera_data.zip",
        ),
        OwnFolder(
            "scenes",
            "landscapes of six classes (buildings, forest, glacier, mountain, sea, street) in train/CLASS and test/CLASS",
            "get 'Intel Image Classification' from Kaggle (puneet6060/intel-image-classification)",
        ),
    )
}
