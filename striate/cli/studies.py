"""`striate status`, `report`, `studies`, `init`: read results, list the built-in studies, write a first study file."""

import os
from pathlib import Path

from striate.cli.output import count, out, plain_json, table
from striate.cli.results import print_results, results_json, write_report
from striate.core.errors import ConfigError, StriateError, StudyError
from striate.studies.loaded import built_in
from striate.studies.results import Results, studies_in

TEMPLATE = """\
# A study: one question, and the arms that answer it. `striate check {file}` prints what would run.
question: Does batch normalization help a small network in four epochs?

# digits, cifar10, a folder with a folder of images for each class, a folder of parquet files, or an .npz file.
# With options: {{source: my-images, channels: 3, size: 64, limit: 2000, validation: 0.1, broken: skip}}
data: digits

# convN[kKERNEL][sSTRIDE][pPADDING], pool[SIZE], gap, fcN, dropSHARE, res(...), or a name from `striate networks`.
# The classifier is appended. `striate summary 'conv16 pool fc64'` prints the layers of a network.
network:
  layers: conv16 pool conv32 pool fc64
  norm: none                # none, batch, layer, group, instance
  activation: relu          # relu, leaky_relu, elu, gelu, silu, softplus, sigmoid, tanh, none

recipe:
  optimizer: {{name: SGD, lr: 0.01, momentum: 0.9}}    # an optimizer of torch.optim, with its arguments
  schedule: constant        # constant, cosine, {{name: step, every: 10, factor: 0.1}}, one-cycle
  batch_size: 64
  epochs: 4
  augment: {{flip: false, crop: 0}}                    # random mirroring; random shifts, in pixels

seeds: 5                    # runs of each arm; at one seed all arms share initial weights, batches and augmentation

# What differs: named arms, or a grid in which every combination is an arm, as in
# grid: {{network.norm: [none, batch], recipe.batch_size: [32, 128]}}
arms:
  plain: {{}}
  normalized: {{network.norm: batch}}

compare: [normalized - plain]   # planned before the runs; only planned comparisons get a verdict
matters: 0.5                    # the smallest difference of interest, in points of test accuracy
"""


def status(folder: Path, as_json: bool) -> None:
    """Print the progress and verdicts of each study in `folder`."""
    if not os.path.isdir(folder):  # Path.is_dir raises for a name that is too long
        raise StudyError(f"{folder}: there is no such folder; give the one that 'striate run --out' wrote to")
    folders = studies_in(folder)
    if not folders:
        raise StudyError(f"{folder}: holds no study; 'striate run quickstart' makes one")
    studies = []
    for study_folder in folders:
        try:
            studies.append(Results.read(study_folder))
        except StriateError as error:
            if len(folders) == 1:
                raise
            out(f"striate: {error}", error=True)  # a broken study does not hide the others
    if as_json:
        plain_json([results_json(results) for results in studies])
        return
    for index, results in enumerate(studies):
        if index:
            out("")
        _print_status(results)


def _print_status(results: Results) -> None:
    states = ["not started" if row.state == "missing" else row.state for row in results.rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    out(f"{results.study.name}: {results.study.question}", bold=True)
    out(f"  {count(len(states), 'run')}: {counts}")
    epochs = {arm.name: arm.recipe.epochs for arm in results.arms}
    for row in results.rows:
        if row.state == "unfinished":
            out(f"  {row.arm} seed {row.seed}: {row.epochs_done} of {count(epochs[row.arm], 'epoch')} done")
    print_results(results)


def report(folder: Path, figures: Path | None, latex: Path | None) -> None:
    """Rebuild the report of the study in `folder`, write the files that are asked for, and print each path."""
    from striate.report import figure_files
    from striate.report import latex as tables

    results = Results.read(folder)
    out(str(write_report(results)))
    if figures:
        files = figure_files.write(results, figures)
        out(f"{figures}: {count(len({file.stem for file in files}), 'figure')}, {count(len(files), 'file')}")
    if latex:
        tables.write(results, latex)
        out(str(latex))


def studies(as_json: bool) -> None:
    """List the built-in studies."""
    library = built_in()
    if as_json:
        plain_json(
            [
                {
                    "name": name,
                    "row": study.row,
                    "question": study.question,
                    "source": study.source,
                    "data": study.data.source,
                    "sizes": list(study.sizes),
                }
                for name, study in library.items()
            ]
        )
        return
    rows = [[name, study.row, study.question, study.source] for name, study in library.items()]
    table(["study", "row", "question", "source"], sorted(rows, key=lambda row: row[1]), unbroken={0, 1})
    out("\nstriate run NAME --size small takes ten minutes at most on two cores; the other sizes are report and full.")


def init(file: Path) -> None:
    """Write a study file; a file that exists is never overwritten."""
    if file.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"{file}: a study file ends in .yaml; write '{file.with_suffix('.yaml')}'")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(TEMPLATE.format(file=file.name))
    except FileExistsError as error:
        raise ConfigError(f"{file}: exists already and was not changed; choose another name") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror})") from error
    out(f"Wrote {file}. Next: striate check {file}")
