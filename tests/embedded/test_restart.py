"""What the servers keep over a stop and over a kill."""

from collections.abc import Iterator

import pytest

from netcenter.embedded import Addresses, EmbeddedError, Stack, down, running
from tests.support.embedded import create, read, write


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("kept"))
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def addresses(stack: Stack) -> Addresses:
    addresses = stack.start()
    create(addresses)
    return addresses


def test_a_running_stack_keeps_its_directory_to_itself(stack: Stack, addresses: Addresses) -> None:
    with pytest.raises(EmbeddedError, match=f"{stack.directory}/kafka is used by a Kafka that runs .pid") as caught:
        Stack(stack.directory).start()
    assert caught.value.exit_code == 2
    write(addresses, "a")  # and the refused stack took nothing down with it


def test_a_stack_of_a_living_program_is_not_left_running_and_down_leaves_it_alone(
    stack: Stack, addresses: Addresses
) -> None:
    assert not running(stack.directory)
    assert not down(stack.directory)
    assert stack.kafka.pid is not None
    assert stack.postgres.pid is not None


def test_an_ephemeral_stack_refuses_a_directory_with_data_to_keep(stack: Stack, addresses: Addresses) -> None:
    ephemeral = Stack(stack.directory, ephemeral=True)
    with pytest.raises(EmbeddedError, match="holds data to keep"):
        ephemeral.start()
    ephemeral.stop()
    assert stack.kafka.directory.is_dir()


def test_stop_and_start_keep_records_rows_and_addresses(stack: Stack, addresses: Addresses) -> None:
    write(addresses, "b")
    stack.stop()
    assert (stack.kafka.pid, stack.postgres.pid) == (None, None)
    assert stack.start() == addresses
    records, rows = read(addresses)
    assert "b" in records
    assert "b" in rows


def test_kill_and_start_keep_what_was_acknowledged_and_the_addresses(stack: Stack, addresses: Addresses) -> None:
    write(addresses, "c")
    stack.kafka.kill()
    stack.postgres.kill()
    assert (stack.kafka.pid, stack.postgres.pid) == (None, None)
    assert Addresses(stack.kafka.start(), stack.postgres.start()) == addresses
    records, rows = read(addresses)
    assert "c" in records
    assert "c" in rows
