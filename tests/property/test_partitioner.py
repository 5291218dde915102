"""Promises of the partitioner: many keys at once land where each alone does, and each where Java puts it."""

from __future__ import annotations

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams.partitioner import murmur2_of, partition_of, partitions_of


@given(keys=st.lists(st.binary(max_size=80), max_size=60), partitions=st.integers(1, 50))
def test_many_keys_land_where_each_alone_does(keys: list[bytes], partitions: int) -> None:
    """Few or many."""
    assert partitions_of(keys, partitions) == [partition_of(key, partitions) for key in keys]


@given(keys=st.lists(st.binary(max_size=80), min_size=1))
def test_murmur2_of_many_keys_is_the_clients_own(keys: list[bytes]) -> None:
    """Of aiokafka, which took it from Java's."""
    assert murmur2_of(keys).tolist() == [murmur2(key) & 0xFFFFFFFF for key in keys]


def test_keys_land_where_javas_client_puts_them() -> None:
    """Values of the tests of Kafka's own client."""
    assert murmur2_of([b"21", b"foobar", b"a-little-bit-long-string"]).tolist() == [
        -973932308 & 0xFFFFFFFF,
        -790332482 & 0xFFFFFFFF,
        -985981536 & 0xFFFFFFFF,
    ]
