import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.partitioner import murmur2, murmur2_of_each


@pytest.mark.parametrize(
    ("key", "of_java"),
    [
        ("21", -973932308),  # two bytes: only the tail is mixed in
        ("abc", 479470107),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),  # whole words, no tail
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
def test_murmur2_gives_the_bits_of_kafkas_java_client(key: str, of_java: int) -> None:
    assert murmur2(key.encode()) == of_java & 0xFFFFFFFF


@given(st.lists(st.binary(max_size=10), max_size=40))
def test_many_are_hashed_as_each_alone(keys: list[bytes]) -> None:
    assert murmur2_of_each(keys) == [murmur2(key) for key in keys]


@given(st.integers(0, 40), st.data())
def test_many_of_one_length_are_hashed_as_each_alone(length: int, data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.binary(min_size=length, max_size=length), min_size=8, max_size=20))

    assert murmur2_of_each(keys) == [murmur2(key) for key in keys]
