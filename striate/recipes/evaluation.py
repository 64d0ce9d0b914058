"""What of a network is judged, in numbers that every engine shares: averages of weights, views of an image."""

# Of torch's evaluation and of the one by hand: as many pixels as 250 images of 32x32, large enough for the matrix units and
# small enough for memory.
PIXELS_AT_ONCE = 250 * 32 * 32


def ema_decay(decay: float, steps: int) -> float:
    """The decay of the average at step `steps`, from 1: the smaller of `decay` and (1 + t) / (10 + t).

    So the first weights, which are noise, are forgotten in a short training too (TensorFlow's ExponentialMovingAverage).
    """
    return min(decay, (1 + steps) / (10 + steps))


def views(test_time: str) -> list[tuple[float, int, bool]]:
    """(weight, shift, mirrored) of each view; weights sum to 1. A shift of 1 is a pixel down-right, -1 a pixel up-left."""
    shifts = {"none": [(1.0, 0)], "flip": [(1.0, 0)], "flip+shift": [(0.5, 0), (0.25, 1), (0.25, -1)]}[test_time]
    sides = (False,) if test_time == "none" else (False, True)
    return [(weight / len(sides), shift, is_mirrored) for weight, shift in shifts for is_mirrored in sides]
