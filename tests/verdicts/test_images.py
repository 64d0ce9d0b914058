"""Images as a sample: components of variance against an analysis of variance, and claims about new images."""

import numpy as np
import pytest

from striate.verdicts import images
from striate.verdicts.intervals import Interval, interval


def table(
    seeds: int, count: int, rng: np.random.Generator, *, image: float, noise: float, bias: float = 0.0
) -> np.ndarray:
    """Right or wrong: images are easy or hard in themselves (`image`), and each run is lucky or not (`noise`)."""
    logits = rng.normal(bias, image, count) + rng.normal(0, noise, (seeds, count))
    return logits > -1.5


def test_the_components_are_those_of_a_two_way_analysis_of_variance():
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    rng = np.random.default_rng(0)
    d = images.differences(table(4, 30, rng, image=1, noise=1), table(4, 30, rng, image=1, noise=1))
    seed, image = np.indices(d.shape)
    frame = pd.DataFrame({"d": d.ravel().astype(float), "seed": seed.ravel(), "image": image.ravel()})
    anova = anova_lm(ols("d ~ C(seed) + C(image)", frame).fit())
    squares = (anova["sum_sq"] / anova["df"]).to_dict()
    parts = images.components(d)
    assert parts.mean == pytest.approx(d.mean())
    assert (parts.of_seeds, parts.of_images, parts.residual) == pytest.approx(
        (squares["C(seed)"], squares["C(image)"], squares["Residual"])
    )
    assert parts.variance == pytest.approx((squares["C(image)"] + squares["C(seed)"] - squares["Residual"]) / d.size)


def test_the_components_of_one_arm_s_table_are_computed_from_bools():
    right = table(3, 50, np.random.default_rng(1), image=1, noise=1)
    assert images.components(right) == images.components(right.astype(np.int8))


def test_images_that_decide_nothing_add_nothing():
    """Differences by seed alone, the same for all images: the variance is that of the seeds."""
    d = np.repeat(np.array([[1], [0], [1], [-1]], np.int8), 20, axis=1)
    parts = images.components(d)
    values = [1.0, 0.0, 1.0, -1.0]
    assert parts.variance == pytest.approx(np.var(values, ddof=1) / 4)
    assert parts.freedom == pytest.approx(3)
    assert parts.image_variance == 0.0


def test_the_interval_for_new_images_is_never_the_narrower_one():
    d = np.zeros((3, 10), np.int8)
    on_these = Interval(mean=0.0, low=-10.0, high=10.0, confidence=0.95, n=3)
    assert images.new_images_interval(images.components(d), on_these, 0.96, 1.0) == on_these


def test_claims_about_new_images_are_rarely_wrong():
    """Two arms that are equal on all images there are, tested on 300 of them: the interval for these images alone excludes 0
    far too often, as they happen to suit one arm; the one for new images does not."""
    rng = np.random.default_rng(2)
    n, count, studies = 10, 300, 400
    wrong = {"these": 0, "new": 0}
    for _ in range(studies):
        first, second = (table(n, count, rng, image=1.0, noise=0.6) for _ in range(2))
        d = images.differences(first, second)
        on_these = interval(list(100 * d.mean(1)))
        on_new = images.new_images_interval(images.components(d), on_these, 0.95, 1.0)
        for name, estimate in (("these", on_these), ("new", on_new)):
            wrong[name] += estimate.low > 0 or estimate.high < 0
    assert wrong["new"] / studies <= 0.07
    assert wrong["these"] / studies > 0.3


def test_only_one_of_both_is_right_on_so_many():
    first = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], bool)
    second = np.array([[1, 0, 0, 1], [1, 1, 0, 0]], bool)
    assert images.only_one_right(first, second) == (1.0, 0.5)


def test_widening_adds_the_sampling_error():
    on_these = Interval(mean=1.0, low=0.0, high=2.0, confidence=0.95, n=5)
    wide = images.widened(on_these, image_variance=(0.01 / 1.959964) ** 2, confidence=0.95, scale=1.0)
    assert wide.half == pytest.approx(2**0.5)
    assert images.widened(on_these, 0.0, 0.95, 1.0) == on_these
