"""`striate probe`: which layers of a network are linear, and which are shift-equivariant."""

from pathlib import Path
from typing import Any

from striate.cli.network import IMAGES, read, read_shape
from striate.cli.output import out, plain_json, table
from striate.core.errors import ConfigError, NetworkError, RunError
from striate.explain.operators import TOLERANCE, Probe, probe
from striate.explain.trained import trained_module
from striate.nets import NETWORKS, NetworkConfig
from striate.nets.pytorch.build import build
from striate.runs import layout

HEAD = ("layer", "operation", "linear", "residual", "shift-equivariant", "interior", "border", "impulse response")
LEGEND = (
    "linear: f(a + b) = f(a) + f(b) and f(c a) = c f(a), after f(0) is subtracted; residuals are relative, in float64\n"
    "shift-equivariant: a shift of the input moves the output; interior: where no window reaches into the padding\n"
    "impulse response: of what is linear, to a 1 in one channel; that of a convolution is its kernel, turned around\n"
    f"a residual below {TOLERANCE:g} is rounding"
)


def command(words: list[str], input_text: str | None, classes: int | None, layers: list[str], as_json: bool) -> None:
    """Print the table of a network, or of a run with its trained weights."""
    found = _measure(words, input_text, classes, tuple(layers))
    if as_json:
        plain_json([_json(one, with_values=bool(layers)) for one in found])
        return
    table(HEAD, [row(one) for one in found], right={3, 5, 6})
    if layers:
        for one in found:
            if one.impulse is not None and one.impulse.ndim == 4:
                _print_impulse(one)
    out(f"\n{LEGEND}")


def row(one: Probe) -> tuple[str, ...]:
    """A line of the table."""
    linear, shifts = one.linearity, one.equivariance
    residual = max(linear.superposition, linear.homogeneity)
    has_positions = shifts.where != "no positions"
    return (
        one.name,
        one.operation,
        linear.verdict,
        f"{residual:.0e}",
        shifts.verdict,
        f"{shifts.interior:.0e}" if has_positions else "",
        f"{shifts.border:.0e}" if has_positions else "",
        _impulse(one),
    )


def _impulse(one: Probe) -> str:
    if one.impulse is None or one.impulse.ndim != 4:
        return ""
    size = "x".join(map(str, one.impulse.shape[2:]))
    return f"{size}, its kernel" if one.is_kernel is not None and one.is_kernel <= TOLERANCE else size


def _measure(words: list[str], input_text: str | None, classes: int | None, layers: tuple[str, ...]) -> list[Probe]:
    if (Path(words[0]) / layout.RUN).exists():
        if len(words) > 1 or input_text or classes:
            raise NetworkError(f"{words[0]}: is a run, which has its own network and images; leave the other words out")
        return probe(*trained_module(Path(words[0])), layers)
    config, name = _network(words), words[0].strip()
    shape, count = (NETWORKS[name].input_shape, NETWORKS[name].classes) if name in NETWORKS else IMAGES
    shape = read_shape(input_text) if input_text else shape
    return probe(build(config, shape, classes or count, 0), shape, layers)


def _network(words: list[str]) -> NetworkConfig:
    try:
        return read(words)
    except (ConfigError, NetworkError) as error:
        if not Path(words[0]).is_dir():
            raise
        raise RunError(
            f"{words[0]}: is a folder that holds no run (no {layout.RUN}); give a run's folder, such as runs/my/plain/seed-0"
        ) from error


def _print_impulse(one: Probe) -> None:
    assert one.impulse is not None
    out(f"\n{one.name}: the response of output channel 0 to a 1 in input channel 0", bold=True)
    for line in one.impulse[0, 0]:
        out("  " + " ".join(f"{value:9.4f}" for value in line))


def _json(one: Probe, *, with_values: bool) -> dict[str, Any]:
    linear, shifts = one.linearity, one.equivariance
    data: dict[str, Any] = {
        "layer": one.name,
        "operation": one.operation,
        "linear": linear.verdict,
        "superposition": linear.superposition,
        "homogeneity": linear.homogeneity,
        "bias": linear.bias,
        "shift_equivariant": shifts.verdict,
        "step": shifts.step,
        "where": shifts.where,
        "interior": shifts.interior,
        "border": shifts.border,
        "impulse_shape": None if one.impulse is None else list(one.impulse.shape),
        "is_kernel": one.is_kernel,
    }
    if with_values:
        data["impulse"] = None if one.impulse is None else one.impulse.tolist()
    return data
