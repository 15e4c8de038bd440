"""One run of send_data.py: a replay with its feedback, or a file of targets, and the table at the end."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sextant.contracts.errors import BundleError, Retryable
from sextant.contracts.model_bundle import load_bundle
from sextant.traffic.client import Client, Outage
from sextant.traffic.drift import Drift
from sextant.traffic.feedback import DelayedFeedback, read_targets, send_targets
from sextant.traffic.replay import Replay
from sextant.traffic.rows import doubts, replayed, shipments, shuffled, to_traffic
from sextant.traffic.tally import Tally, table
from sextant.use_cases.sources import Source
from sextant.use_cases.use_case import UseCase

DONE, FAILED, STOPPED = 0, 1, 130
"""Exit statuses; 130 is what a shell gives a program that Ctrl-C ended."""


class NotUp(Retryable):
    """The prediction service did not come up in the time that was given."""


def say(text: str) -> None:
    """Print a line without tearing a progress bar."""
    tqdm.write(text)


@dataclass
class Sender:
    """Where to send to, as whom, and how long (seconds) to wait for a service that is away."""

    use_case: UseCase
    url: str
    api_key: str | None
    patience: float
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._outage = Outage(say)

    def client(self) -> Client:
        """A client for one more thread."""
        return Client(
            self.url, outage=self._outage, wait=self.stop.wait, patience=self.patience, api_key=self.api_key
        )

    def require_service(self) -> None:
        """Wait until the service answers; raises NotUp."""
        with contextlib.closing(self.client()) as client:
            if not client.wait_until_up():
                raise NotUp(f"the prediction service at {self.url} did not answer in {self.patience:g} s")


@dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """What to replay, and how; rate in records a second (None: as fast as it goes), delays in seconds."""

    source: Source
    period: str
    drifts: Sequence[Drift]
    count: int
    batch: int
    rate: float | None
    concurrency: int
    feedback_delay: float | None
    """None: no ground truth is sent."""
    seed: int
    accepted_ids: Path | None


def send_csv(sender: Sender, path: Path) -> int:
    """Send the ground truth in a CSV file, name its malformed lines, and return the exit status."""
    items, malformed = read_targets(path, sender.use_case.name, sender.use_case.task)
    for wrong in malformed:
        say(f"{path}, line {wrong.line}: {wrong.reason}; left out")
    sender.require_service()
    tally, start = Tally("targets"), time.monotonic()
    with contextlib.closing(sender.client()) as client:
        send_targets(client, items, tally)
    say(table(tally, time.monotonic() - start))
    return DONE if tally.all_accepted and not malformed else FAILED


def send_replay(sender: Sender, plan: ReplayPlan, models_dir: Path) -> int:
    """Replay, print what became of it (also when stopped by Ctrl-C), and return the exit status."""
    _warn_of_doubts(sender.use_case, plan, models_dir)
    rng = np.random.default_rng(plan.seed)
    traffic = to_traffic(replayed(sender.use_case, plan.source, plan.period), plan.drifts, rng)
    rows = shuffled(len(traffic.records), plan.count, rng)
    sender.require_service()
    with _id_writer(plan.accepted_ids) as write_ids:
        feedback = _feedback(sender, plan.feedback_delay)
        replay = Replay(
            model=sender.use_case.name,
            make_client=sender.client,
            stop=sender.stop,
            concurrency=plan.concurrency,
            rate=plan.rate,
            accepted=write_ids,
            feedback=feedback,
        )
        start = time.monotonic()
        finished = replay.run(shipments(traffic, rows, plan.batch, new_id), plan.count)
        elapsed = time.monotonic() - start
        finished = _finish_feedback(feedback, finished) and finished
    say(table(replay.tally, elapsed))
    complete = replay.tally.accepted == plan.count
    if feedback is not None:
        say(table(feedback.tally) + (f"\n{'':<14} {feedback.pending:>9,} not sent" if feedback.pending else ""))
        complete = complete and feedback.tally.all_accepted
    return (DONE if complete else FAILED) if finished else STOPPED


def new_id() -> str:
    """An id that no other run gives, so that a replay repeated is not taken for a retry."""
    return str(uuid.uuid4())


def _warn_of_doubts(use_case: UseCase, plan: ReplayPlan, models_dir: Path) -> None:
    with contextlib.suppress(BundleError):  # the service may run elsewhere: then nothing can be compared
        manifest = load_bundle(models_dir, use_case.name).manifest
        if doubt := doubts(manifest, plan.source, plan.period):
            say(f"warning: {doubt}")


def _feedback(sender: Sender, delay: float | None) -> DelayedFeedback | None:
    if delay is None:
        return None
    return DelayedFeedback(sender.client(), sender.use_case.name, delay, Tally("targets"))


def _finish_feedback(feedback: DelayedFeedback | None, all_sent: bool) -> bool:
    """Wait until the last truth is sent; False when the user stopped it. After a stop nothing more is sent."""
    if feedback is None:
        return True
    if not all_sent:
        feedback.cancel()
        feedback.join(timeout=5)
        return False
    if feedback.pending:
        say(f"{feedback.pending:,} targets follow when their delay is over (Ctrl-C leaves them)")
    feedback.complete()
    try:
        while not feedback.join(timeout=0.2):
            pass
    except KeyboardInterrupt:
        feedback.cancel()
        return False
    return True


@contextlib.contextmanager
def _id_writer(path: Path | None) -> Iterator[Callable[[list[str]], None]]:
    """Writes ids, one a line and at once, so that a file that is cut short still tells the truth."""
    if path is None:
        yield lambda _names: None
        return
    lock = threading.Lock()
    with path.open("w", buffering=1, encoding="ascii") as stream:

        def write(names: list[str]) -> None:
            with lock:
                stream.writelines(f"{name}\n" for name in names)

        yield write
