"""Scores that are undefined, and labels without images: values, notes of the report, resamples that are dropped."""

import numpy as np
import pytest

from goldfold.metrics import regression


@pytest.mark.parametrize(("n", "number"), [(7, 0.1), (10, 0.3), (6, 0.7), (1, 2.0)])
def test_equal_numbers_have_no_correlation_and_no_r2(n: int, number: float) -> None:
    """The mean of 7 times 0.1 is not 0.1 in floating point."""
    equal, rising = np.full(n, number), np.arange(float(n))
    assert np.isnan(regression.r2(rising, equal))
    for metric in (regression.pearson, regression.spearman):
        assert np.isnan(metric(equal, rising))
        assert np.isnan(metric(rising, equal))
    if n > 1:
        assert regression.r2(equal, rising) < 0 < regression.pearson(rising + number, rising)
