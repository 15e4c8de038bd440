"""One run of send_data.py: a replay with its feedback, or a file of targets, and the summary at the end."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sextant.contracts.errors import BundleError, Retryable
from sextant.contracts.model_bundle import load_bundle
from sextant.contracts.target_rows import CheckedTarget, TargetSchema, check_rows
from sextant.infrastructure.target_files import TargetFile, open_target_file
from sextant.traffic.client import Client, Outage, SendStats
from sextant.traffic.feedback import BATCH_SIZE, DelayedFeedback, Item, send_targets
from sextant.traffic.order import NOW, Pace, as_of, ordered, times_of
from sextant.traffic.replay import Replay
from sextant.traffic.rows import InjectedDrift, mismatch, predict_requests, replayed, to_traffic
from sextant.use_cases.use_case import Source, UseCase

DONE, FAILED, STOPPED = 0, 1, 130
"""Exit statuses; 130 is what a shell reports for a program that Ctrl-C ended."""

CHUNK = 5_000
MOST_REJECTS_SHOWN = 20


class NotUp(Retryable):
    """The prediction service did not come up in time."""


def say(text: str) -> None:
    """Print a line without tearing a progress bar."""
    tqdm.write(text)


@dataclass
class Sender:
    """Where to send to, with which key, and how long (seconds) to wait for a service that is away."""

    use_case: UseCase
    url: str
    api_key: str | None
    retry_seconds: float
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._outage = Outage(say)

    def client(self) -> Client:
        """A client for one more thread."""
        return Client(
            self.url,
            outage=self._outage,
            wait=self.stop.wait,
            retry_seconds=self.retry_seconds,
            api_key=self.api_key,
        )

    def require_service(self) -> None:
        """Wait until the service answers; raises NotUp."""
        with contextlib.closing(self.client()) as client:
            if not client.wait_until_up():
                raise NotUp(f"the prediction service at {self.url} did not answer in {self.retry_seconds:g} s")


@dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """What to replay, and how; delays in seconds."""

    source: Source
    period: str
    drifts: Sequence[InjectedDrift]
    count: int
    order: str
    as_of: str
    batch: int
    pace: Pace
    concurrency: int
    feedback_delay: float | None
    """None: no targets are sent."""
    seed: int
    accepted_ids: Path | None


def send_targets_file(sender: Sender, path: Path, models_dir: Path) -> int:
    """Send the targets in a CSV or Parquet file, name its malformed rows, and return the exit status.

    The file is read twice, so that nothing is sent of one that turns out to be unreadable.
    """
    file, now = open_target_file(path), datetime.now(UTC)
    schema = _target_schema(sender.use_case, models_dir)
    malformed = _name_malformed(file, schema, now)
    if file.has("received_at"):
        say(f"{path}: received_at is checked but not sent; the service records when it receives a target")
    sender.require_service()
    stats, start = SendStats("targets"), time.monotonic()
    with contextlib.closing(sender.client()) as client:
        for chunk in file.chunks(BATCH_SIZE):
            checked, _ = check_rows(chunk, schema, now)
            if checked:
                send_targets(client, [_feedback_item(target, schema.model) for target in checked], stats)
    say(stats.table(time.monotonic() - start))
    return DONE if stats.all_accepted and not malformed else FAILED


def _target_schema(use_case: UseCase, models_dir: Path) -> TargetSchema:
    """With the live model's classes; any class is allowed where the model is not on this machine."""
    try:
        classes = load_bundle(models_dir, use_case.name).manifest.classes
    except BundleError:
        classes = None
    return TargetSchema(use_case.name, use_case.task, classes)


def _name_malformed(file: TargetFile, schema: TargetSchema, now: datetime) -> int:
    """Say the first malformed rows with their reasons, and how many more there are; the number of all."""
    malformed = 0
    for chunk in file.chunks(CHUNK):
        _, rejected = check_rows(chunk, schema, now)
        for row in rejected[: max(0, MOST_REJECTS_SHOWN - malformed)]:
            say(f"{file.path}, {file.counted_in} {row.line}: {row.reason}; left out")
        malformed += len(rejected)
    if malformed > MOST_REJECTS_SHOWN:
        say(
            f"{file.path}: {malformed - MOST_REJECTS_SHOWN:,} more malformed rows are left out; "
            "python -m batch_flows.import_targets writes all of them to a reject file"
        )
    return malformed


def _feedback_item(target: CheckedTarget, model: str) -> Item:
    return {"prediction_id": target.prediction_id, "target": target.target, "model": model}


def send_replay(sender: Sender, plan: ReplayPlan, models_dir: Path) -> int:
    """Replay, print the summary (also when stopped by Ctrl-C), and return the exit status."""
    split_by = _fitting_split(sender.use_case, plan, models_dir)
    rng = np.random.default_rng(plan.seed)
    examples = replayed(sender.use_case, plan.source, plan.period, split_by)
    times = times_of(examples, sender.use_case.time)
    rows = ordered(times, plan.count, plan.order, rng)
    moments = plan.pace.moments(times.iloc[rows])
    if plan.as_of == NOW:
        examples = as_of(examples, sender.use_case.time, rows, datetime.now(UTC))
    traffic = to_traffic(examples, plan.drifts, rng)
    sender.require_service()
    with _id_writer(plan.accepted_ids) as write_ids:
        feedback = _feedback(sender, plan.feedback_delay)
        replay = Replay(
            model=sender.use_case.name,
            make_client=sender.client,
            stop=sender.stop,
            concurrency=plan.concurrency,
            accepted=write_ids,
            feedback=feedback,
        )
        start = time.monotonic()
        finished = replay.run(predict_requests(traffic, rows, moments, plan.batch, new_id), plan.count)
        elapsed = time.monotonic() - start
        finished = _finish_feedback(feedback, finished) and finished
    say(replay.stats.table(elapsed))
    complete = replay.stats.accepted == plan.count
    if feedback is not None:
        say(feedback.stats.table() + (f"\n{'':<14} {feedback.pending:>9,} not sent" if feedback.pending else ""))
        complete = complete and feedback.stats.all_accepted
    return (DONE if complete else FAILED) if finished else STOPPED


def new_id() -> str:
    """An id that no other run uses, so that a repeated replay is not taken for a retry."""
    return str(uuid.uuid4())


def _fitting_split(use_case: UseCase, plan: ReplayPlan, models_dir: Path) -> str | None:
    """The time column by which the live model's rows were split, with a warning where it learned from others."""
    try:
        manifest = load_bundle(models_dir, use_case.name).manifest
    except BundleError:  # the service may run elsewhere: then nothing can be compared
        return use_case.time
    if reason := mismatch(manifest, plan.source, plan.period):
        say(f"warning: {reason}")
    return manifest.time


def _feedback(sender: Sender, delay: float | None) -> DelayedFeedback | None:
    if delay is None:
        return None
    return DelayedFeedback(sender.client(), sender.use_case.name, delay, SendStats("targets"))


def _finish_feedback(feedback: DelayedFeedback | None, all_sent: bool) -> bool:
    """Wait until the last target is sent; False when the user stopped it, after which nothing more is sent."""
    if feedback is None:
        return True
    if not all_sent:
        feedback.cancel()
        feedback.join(timeout=5)
        return False
    if feedback.pending:
        say(f"{feedback.pending:,} targets follow when their delay is over (Ctrl-C leaves them unsent)")
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
    """Writes ids, one a line and at once, so that even a truncated file is correct."""
    if path is None:
        yield lambda _names: None
        return
    lock = threading.Lock()
    with path.open("w", buffering=1, encoding="ascii") as stream:

        def write(names: list[str]) -> None:
            with lock:
                stream.writelines(f"{name}\n" for name in names)

        yield write
