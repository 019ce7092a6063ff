"""Arithmetic equals numpy."""

from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("value", [0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, 2.5001, -2.6, 7.0, 1e15 + 0.5])
def test_halves_go_to_the_even_number(call: Any, value: float) -> None:
    assert call("numbers.js", "rint", value) == np.rint(value)


def test_order_of_equal_values_is_kept(call: Any) -> None:
    assert call("numbers.js", "descending", [1, 3, 2, 3, 1]) == [1, 3, 2, 0, 4]
