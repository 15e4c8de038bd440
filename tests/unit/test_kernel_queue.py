"""A lock that another process holds is waited for in the kernel, and given up in time."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prediction_service.errors import OutboxUnavailable
from prediction_service.kernel_queue import KernelQueue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def mine(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def theirs(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def is_free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_a_lock_is_taken_as_soon_as_the_other_process_lets_it_go(mine: int, theirs: int, path: Path) -> None:
    queue = KernelQueue(mine)
    releasing = threading.Timer(0.05, fcntl.flock, (theirs, fcntl.LOCK_UN))
    releasing.start()
    queue.take(30.0)
    assert not is_free(path)
    releasing.join()
    queue.close()


def test_who_gives_up_does_not_take_the_lock_later_and_the_next_does_not_wait_again(
    mine: int, theirs: int, path: Path
) -> None:
    queue = KernelQueue(mine)
    with pytest.raises(OutboxUnavailable):
        queue.take(0.3)
    began = time.monotonic()
    with pytest.raises(OutboxUnavailable):
        queue.take(0.3)
    assert time.monotonic() - began < 0.3
    fcntl.flock(theirs, fcntl.LOCK_UN)
    deadline = time.monotonic() + 30
    while not is_free(path):
        assert time.monotonic() < deadline
    queue.take(30.0)
    fcntl.flock(mine, fcntl.LOCK_UN)
    queue.close()
