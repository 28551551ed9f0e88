"""What is kept where not everything fits into memory."""

from hypothesis import given
from hypothesis import strategies as st

from wmx._internal.narrowest import narrowest

SIZES = st.dictionaries(st.integers(), st.integers(0, 50), max_size=12)


@given(sizes=SIZES, most=st.integers(0, 200))
def test_the_smallest_are_kept_as_long_as_they_fit(sizes: dict[int, int], most: int) -> None:
    kept = narrowest(sizes, most)
    left_out = [size for key, size in sizes.items() if key not in kept]
    total = sum(sizes[key] for key in kept)
    assert total <= most
    if left_out:
        assert min(left_out) >= max((sizes[key] for key in kept), default=0)
        assert total + min(left_out) > most


def test_of_one_size_those_that_were_named_first_are_kept() -> None:
    assert narrowest({"b": 2, "a": 2, "c": 2}, 5) == {"b", "a"}
