"""The comparison's own edge: both sides' answers in MongoDB."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from batch_flows.compare_models.choice import Choice
from batch_flows.orchestration.steps import run_logger, step
from batch_flows.time_range import Window
from batch_flows.window_rows import LeftOut, flaw_of, parts_of
from sextant.contracts.events import Prediction
from sextant.infrastructure.documents import Refusal
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import Settings

if TYPE_CHECKING:  # see batch_flows.reports.steps
    from batch_flows.compare_models.rows import ComparedRows


@step(name="Read both sides from MongoDB", minutes=45)
def read_rows(settings: Settings, choice: Choice, window: Window, pair_by: str | None) -> "ComparedRows":
    """The labelled rows of both sides in the window; memory does not grow with it."""
    from batch_flows.compare_models.pairs import AnswerSample, id_key, record_key
    from batch_flows.compare_models.rows import choose_rows

    left_out = LeftOut()
    by_record = AnswerSample(settings.report_max_rows, partial(record_key, pair_by=pair_by))
    by_id = AnswerSample(settings.report_max_rows, id_key)
    with closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database)) as store:
        for side, made in _answers(store, choice, window, left_out):
            by_record.add(side, made)
            by_id.add(side, made)
        answers = {answer.made.prediction_id for side in (*by_record.sides, *by_id.sides) for answer in side}
        targets = store.targets_for(answers, skip=left_out.skip)
    rows = choose_rows(choice, by_record, by_id, targets, skipped=left_out.skipped)
    run_logger().info("window %s: %d and %d rows compared; %s", window, *map(len, rows.frames), dict(rows.counts))
    return rows


def _answers(
    store: EventStore, choice: Choice, window: Window, left_out: LeftOut
) -> Iterator[tuple[int, Prediction]]:
    """The predictions of A and B in the window, each with its side; what is no prediction is counted."""
    for model in dict.fromkeys((choice.a.name, choice.b.name)):
        for part in parts_of(window):
            for made in store.between(model, part.start, part.end, skip=left_out.skip, without={"latency_ms"}):
                if (flaw := flaw_of(made)) is not None:
                    left_out.skip(Refusal(made.prediction_id, flaw))
                elif (side := choice.side_of(made.model, made.model_version)) is not None:
                    yield side, made
