"""Protocols that cannot be are refused by name, not by NumPy."""

import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.protocols import bursts, pairs, triplets


@pytest.mark.parametrize(("make", "field"), [
    (lambda: pairs(0, 1.0, 5.0), "count"), (lambda: pairs(5, 1.0, float("nan")), "delta_t"),
    (lambda: pairs(5, 0.0, 5.0), "rate_hz"), (lambda: bursts(10.0, 5.0, 0), "count"),
    (lambda: bursts(10.0, float("inf")), "delta_t"), (lambda: triplets(3, 1.0, ()), "count"),
])
def test_a_protocol_without_spikes_or_times_is_refused(make, field):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.field == field


def test_a_negative_lag_keeps_all_times_above_zero():
    made = pairs(3, 10.0, -20.0)
    np.testing.assert_allclose(made.post - made.pre, -20.0)
    assert made.post[0] == 0
