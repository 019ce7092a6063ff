import numpy as np
import pytest

from facegeom_lab.studies.compression import bits


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200])
def test_bit_products_are_the_products_of_signs(length: int) -> None:
    rng = np.random.default_rng(length)
    x, w = (rng.choice([-1, 1], (rows, length)) for rows in (3, 5))
    found = bits.xnor_product(bits.pack(x), bits.pack(w), length)
    np.testing.assert_array_equal(found, x @ w.T)


def test_a_word_holds_64_signs() -> None:
    packed = bits.pack(np.array([[1] * 64 + [-1, 1]]))
    assert packed.tolist() == [[2**64 - 1, 2]]


def test_the_comparison_measures_every_shape() -> None:
    found = bits.compare(rounds=1)
    assert list(found) == list(bits.SHAPES)
    assert all(row["floats_bytes"] == 32 * row["bits_bytes"] for row in found.values())
    assert all(row["bits_ms"] > 0 and row["floats_ms"] > 0 for row in found.values())
