"""The comparison's own edge: both sides' answers in MongoDB."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from batch_flows.compare_models.choice import Choice
from batch_flows.orchestration.steps import run_logger, step
from batch_flows.store import Skipped, open_store, read_predictions
from batch_flows.time_range import TimeRange
from sextant.contracts.events import Prediction, Target
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

if TYPE_CHECKING:  # see drift_report.steps
    from batch_flows.compare_models.rows import ComparedRows


@step(name="Read both sides from MongoDB", minutes=45)
def read_rows(settings: Settings, choice: Choice, window: TimeRange, pair_by: str | None) -> "ComparedRows":
    """The labelled rows of both sides in the window; memory does not grow with it."""
    from batch_flows.compare_models.pairs import PredictionSample, id_key, record_key
    from batch_flows.compare_models.rows import choose_rows

    skipped = Skipped()
    by_record = PredictionSample(settings.report_max_rows, partial(record_key, pair_by=pair_by))
    by_id = PredictionSample(settings.report_max_rows, id_key)
    with open_store(settings) as store:
        for side, made in _answers(store, choice, window, skipped):
            by_record.add(side, made)
            by_id.add(side, made)
        answers = {answer.made.prediction_id for side in (*by_record.sides, *by_id.sides) for answer in side}
        targets: dict[str, Target] = {}
        for model in {choice.a.name, choice.b.name}:
            targets |= store.targets_for(model, answers, skip=skipped.add)
    rows = choose_rows(choice, by_record, by_id, targets, skipped=skipped.count)
    run_logger().info("window %s: %d and %d rows compared; %s", window, *map(len, rows.frames), rows.counts)
    return rows


def _answers(
    store: EventStore, choice: Choice, window: TimeRange, skipped: Skipped
) -> Iterator[tuple[int, Prediction]]:
    """The predictions of A and B in the window, each with its side."""
    for model in dict.fromkeys((choice.a.name, choice.b.name)):
        for made in read_predictions(store, model, window, skipped, without={"latency_ms"}):
            if (side := choice.side_of(made.model, made.model_version)) is not None:
                yield side, made
