"""How fast a network is: images a second and latency of each way to compute it, at several batch sizes. No torch here.

A way is a form of the network (as built, tuned, compiled, exported) in a precision. Each is warmed up; a call is timed until the
device is done, with the images in its memory already. What cannot be measured is a row with the reason, never a missing one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any, Protocol

from striate.core.errors import StriateError

BATCHES = (1, 4, 16, 64, 256)
# A row takes about so long, in three calls at least. Where one would take longer than the limit, the row is left out, and says so.
SECONDS = 1.0
FEWEST_CALLS, MOST_CALLS = 3, 1000
LONGEST_CALL = 5.0
# A first call that is quicker than this is followed by others before the first that counts.
WARM_UP_SECONDS = 0.3
# How far float32 outputs may be from those of the plain loop, as a share of the largest logit: sums in another order.
TOLERANCE = 1e-3
PLAIN = "eager"  # the way that all others are compared with: the loop that anybody writes
# What others state of a network's speed, and why it cannot be compared.
PUBLISHED = {
    "report-e": (
        1530.99,
        "the report names no device, no batch size and no precision, and stops its clock after the forward pass without waiting for "
        "the device, so on a GPU it may time the launch alone",
    )
}


class Unavailable(StriateError):
    """A way that this machine does not have, with the reason."""


class Way(Protocol):
    """One form of a network in one precision."""

    @property
    def name(self) -> str: ...

    @property
    def precision(self) -> str: ...

    def prepare(self, batch: int) -> Callable[[], float]:
        """A function that computes a batch and returns its seconds.

        Raises:
            Unavailable: when this machine does not have this way.
        """
        ...

    def difference(self) -> float | None:
        """How far the outputs are from those of the plain loop, as a share of the largest."""
        ...


@dataclass(frozen=True, kw_only=True)
class Row:
    """A way at a batch size; without times, `reason` says why. No batch: none was tried."""

    way: str
    precision: str
    batch: int | None
    images_per_second: float | None = None
    p50_ms: float | None = None  # latency of a batch: half of the calls took no longer
    p95_ms: float | None = None
    calls: int = 0
    difference: float | None = None  # from the plain loop's outputs, as a share of the largest
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All rows of a network on a machine."""

    network: str
    input_shape: tuple[int, ...]
    classes: int
    device: str
    device_name: str
    threads: int
    versions: dict[str, str]
    rows: tuple[Row, ...]
    method: tuple[str, ...]
    published: tuple[float, str] | None = None

    @property
    def timed(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.images_per_second)

    def fastest(self, precision: str = "") -> Row | None:
        """The row with the most images a second, of one precision or of all."""
        rows = [row for row in self.timed if precision in ("", row.precision)]
        return max(rows, key=lambda row: row.images_per_second or 0, default=None)

    @property
    def plain(self) -> Row | None:
        """The best row of the loop that anybody writes."""
        return max(
            (row for row in self.timed if row.way == PLAIN), key=lambda row: row.images_per_second or 0, default=None
        )

    @property
    def speedup(self) -> float | None:
        """How many times as fast the fastest way in float32 is as the plain loop, each at its best batch."""
        fastest, plain = self.fastest("float32"), self.plain
        if fastest is None or plain is None:
            return None
        return (fastest.images_per_second or 0) / (plain.images_per_second or 1)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "speedup": self.speedup}


def measure(
    ways: Iterable[Way], batches: Sequence[int], too_large: Callable[[int], str], seconds: float = SECONDS
) -> tuple[Row, ...]:
    """The rows of all ways, from the smallest batch on; `too_large` says why a batch does not fit into memory, or nothing."""
    return tuple(row for way in ways for row in _rows(way, sorted(batches), too_large, seconds))


def _rows(way: Way, batches: Sequence[int], too_large: Callable[[int], str], seconds: float) -> Iterable[Row]:
    facts: dict[str, Any] = {"way": way.name, "precision": way.precision}
    try:
        difference = way.difference()
    except Unavailable as error:
        yield Row(**facts, batch=None, reason=str(error))
        return
    if way.precision == "float32" and difference is not None and not difference <= TOLERANCE:
        yield Row(
            **facts, batch=None, difference=difference, reason=f"gives other outputs: they differ by {difference:.1e}"
        )
        return
    facts["difference"], speed = difference, None
    for batch in batches:
        reason = too_large(batch)
        if not reason and speed and batch / speed > LONGEST_CALL:
            reason = f"a call would take about {batch / speed:.0f} s"
        if reason:
            yield Row(**facts, batch=batch, reason=reason)
            continue
        try:
            latencies = _latencies(way.prepare(batch), seconds)
        except Unavailable as error:
            yield Row(**facts, batch=batch, reason=str(error))
            return
        speed = batch * len(latencies) / sum(latencies)
        p50, p95 = percentiles(latencies)
        yield Row(
            **facts, batch=batch, calls=len(latencies), images_per_second=speed, p50_ms=1000 * p50, p95_ms=1000 * p95
        )


def _latencies(call: Callable[[], float], seconds: float) -> list[float]:
    """The seconds of each call after the warm-up."""
    warm = call()
    while warm < WARM_UP_SECONDS:
        warm += max(call(), 1e-4)
    latencies: list[float] = []
    while len(latencies) < FEWEST_CALLS or (sum(latencies) < seconds and len(latencies) < MOST_CALLS):
        latencies.append(call())
    return latencies


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile, between neighbors in order."""
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]
