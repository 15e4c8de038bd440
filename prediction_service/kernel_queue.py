"""Waiting for a file lock in the kernel's queue, with a deadline."""

import fcntl
import threading
import time

from prediction_service.errors import OutboxUnavailable

AT_LEAST_SECONDS = 0.02  # for the thread that waits to tell of a lock that has just become free


class KernelQueue:
    """Takes a lock that other processes may hold; one thread at a time may call take()."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._state = threading.Condition()
        self._asked_at: float | None = None
        self._granted = self._wanted = self._closed = False
        self._thread: threading.Thread | None = None

    def take(self, seconds: float) -> None:
        """Take the lock; raises OutboxUnavailable when it has been waited for as long as that, now and before.

        While a frozen process holds it, the first caller waits, and those after it get their answer soon.
        """
        with self._state:
            if self._asked_at is None:
                if self._is_free():
                    return
                self._ask()
            asked_at = self._asked_at or 0.0
            self._wanted = True
            granted = self._state.wait_for(
                lambda: self._granted, max(AT_LEAST_SECONDS, asked_at + seconds - time.monotonic())
            )
            self._wanted = self._granted = False
            if not granted:
                raise OutboxUnavailable(f"another process has held the outbox for {seconds:g} s")
            self._asked_at = None

    def _is_free(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._wait, name="outbox lock", daemon=True)
            self._thread.start()
        self._state.notify_all()

    def _wait(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._closed or (self._asked_at is not None and not self._granted))
                if self._closed:
                    return
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            except OSError:  # the file was closed
                return
            with self._state:
                if self._closed:  # and with it the file, which ends the lock
                    return
                if self._wanted:
                    self._granted = True
                    self._state.notify_all()
                else:  # everybody has given up
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                    self._asked_at = None

    def close(self) -> None:
        """Wait no more."""
        with self._state:
            self._closed = True
            self._state.notify_all()
