"""`striate export`: a network as a file, and how it compares with the run on the test images."""

from pathlib import Path

from striate.cli.output import count, disk_size, out, plain_json
from striate.deploy.export import export as export_run


def export(folder: Path, kind: str, file: Path | None, data: str, as_json: bool) -> None:
    """The command."""
    exported = export_run(folder, kind, file, data, note=lambda text: out(text, error=True))
    if as_json:
        plain_json(
            {
                "file": str(exported.file),
                "bytes": exported.file.stat().st_size,
                "test_images": exported.images,
                "same_classes": exported.images,
                "same_classes_as_predictions": exported.same_as_run,
                "largest_difference": exported.largest_difference,
            }
        )
        return
    out(f"{exported.file}: {disk_size(exported.file.stat().st_size)}", bold=True)
    out(
        f"  opened from the disk and run on all {count(exported.images, 'test image')}: "
        f"the same class for each, largest difference of a probability {exported.largest_difference:.1e}"
    )
    out(f"  the class of the run's own predictions for {exported.same_as_run:,} of {exported.images:,}")
    out(
        "  input: uint8 images N x H x W x C; output: probabilities; classes and preparation are in the file's metadata"
    )
