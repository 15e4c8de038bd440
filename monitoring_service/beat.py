"""A thread that does one thing again and again until the service stops."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Beat:
    """Calls a function at once and then with a pause of `seconds` after each call."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None], stop: threading.Event) -> None:
        self._seconds = seconds
        self._work = work
        self._stop = stop
        # A daemon: a calibration or a MongoDB that hangs never keeps the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def name(self) -> str:
        """What this thread does."""
        return self._thread.name

    @property
    def is_alive(self) -> bool:
        """Whether it still beats."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the end, at most this long."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._work()
            except Exception as error:  # a beat that dies silently is worse than one that repeats
                log.error("background work failed", work=self.name, exc_info=error)
            self._stop.wait(self._seconds)
