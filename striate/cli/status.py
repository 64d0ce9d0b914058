"""The commands that read: status, report, studies; and init, which writes a file to start from."""

from pathlib import Path

from striate.cli.output import out, plain_json, results_json, table
from striate.cli.run import arm_line, write_report
from striate.core.errors import ConfigError, StriateError, StudyError
from striate.studies.loaded import built_in
from striate.studies.results import Results, studies_in

TEMPLATE = """\
# A study: one question, and what is varied to answer it. `striate check {file}` shows what would run.
question: Does batch normalization help, and by how much?

# digits, cifar10, a folder of images with a folder for each class, a folder of parquet files, or an .npz file.
# Written long: {{source: my-images, channels: 3, size: 64, limit: 2000, validation: 0.1, broken: skip}}
data: digits

# convN[kKERNEL][sSTRIDE][pPADDING], pool[SIZE], gap, fcN, dropSHARE, res(...), or a name that `striate networks`
# lists; the classifier is appended. `striate summary 'conv16 pool fc64'` shows the table of a network.
network:
  layers: conv16 pool conv32 pool conv64 pool fc64
  norm: none                # none, batch, layer, group, instance
  activation: relu          # relu, leaky_relu, elu, gelu, silu, softplus, sigmoid, tanh, none

recipe:
  optimizer: {{name: SGD, lr: 0.05, momentum: 0.9}}    # any of torch.optim, with torch's own arguments
  schedule: constant        # constant, cosine, {{name: step, every: 10, factor: 0.1}}, one-cycle
  batch_size: 64
  epochs: 8
  augment: {{flip: false, crop: 0}}                    # mirror at random; shift by up to so many pixels

seeds: 3                    # runs of each arm; the arms share initial weights, batches and augmentation seed by seed

# What is varied: named arms, or a grid of factors to cross (grid: {{network.norm: [none, batch], recipe.batch_size: [32, 128]}}).
arms:
  plain: {{}}
  normalized: {{network.norm: batch}}

compare: [normalized - plain]   # planned before the runs; what is not planned gets no verdict
matters: 1.0                    # the smallest difference of interest, in points of test accuracy
"""


def status(folder: Path, as_json: bool) -> None:
    """Each study in `folder`: how far it is and what it says."""
    if not folder.is_dir():
        raise StudyError(f"{folder}: there is no such folder; give the one that 'striate run --out' wrote to")
    places = studies_in(folder)
    if not places:
        raise StudyError(f"{folder}: holds no study; 'striate run quickstart' makes one")
    found = []
    for place in places:
        try:
            found.append(Results.read(place))
        except StriateError as error:
            if len(places) == 1:
                raise
            out(f"striate: {error}", error=True)  # one broken study hides no other
    if as_json:
        plain_json([results_json(results) for results in found])
        return
    for index, results in enumerate(found):
        if index:
            out("")
        _status(results)


def _status(results: Results) -> None:
    states = [row.state for row in results.rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    out(f"{results.study.name}: {results.study.question}", bold=True)
    out(f"  {len(results.rows)} runs: {counts}")
    for verdict in results.verdicts:
        out(f"  {verdict.label}: {verdict.sentence}")
    for arm in results.arms if not results.verdicts else ():
        out(f"  {arm_line(results, arm.name)}")
    for row in results.failures:
        out(f"  {row.arm} seed {row.seed} {row.state}: {row.reason}")


def report(folder: Path) -> None:
    """Write the report of the study in `folder`."""
    out(str(write_report(Results.read(folder))))


def studies(as_json: bool) -> None:
    """The built-in studies."""
    found = built_in()
    if as_json:
        plain_json(
            [{"name": name, "question": study.question, "data": study.data.source} for name, study in found.items()]
        )
        return
    table(["study", "data", "question"], [[name, study.data.source, study.question] for name, study in found.items()])


def init(file: Path) -> None:
    """Write a study file, unless there is one."""
    if file.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"{file}: a study file ends in .yaml; write '{file.with_suffix('.yaml')}'")
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(TEMPLATE.format(file=file.name))
    except FileExistsError as error:
        raise ConfigError(f"{file}: exists already and is left as it is; choose another name") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror})") from error
    out(f"Wrote {file}. Next: striate check {file}")
