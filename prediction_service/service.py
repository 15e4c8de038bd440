"""The decision behind POST /predict and /feedback: from valid input to events on disk and an answer."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
import uuid_utils

from prediction_service.errors import InvalidInput, RecordTooLarge
from prediction_service.live_models import LiveModels
from prediction_service.outbox_types import EventKind, NewEvent
from prediction_service.predictor import ModelOutput
from prediction_service.records import Feedback, ModelInterface, Record
from sextant.contracts.events import Prediction, Target, stored_time


class EventLog(Protocol):
    """Where events become durable."""

    def append(self, events: Sequence[NewEvent]) -> None:
        """Accept all events or none; they are on disk when it returns."""


def utc_now() -> datetime:
    """Now, in UTC, at the resolution that MongoDB keeps: milliseconds."""
    return stored_time(datetime.now(UTC))


def new_prediction_id() -> str:
    """A UUIDv7: unique, and ordered by time."""
    return str(uuid_utils.uuid7())


class PredictionService:
    """Answers records and takes feedback; everything it acknowledges is in the event log first."""

    def __init__(
        self,
        models: LiveModels,
        events: EventLog,
        default_model: str,
        *,
        max_record_bytes: int,
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = new_prediction_id,
    ) -> None:
        self.models = models
        self._events = events
        self.default_model = default_model
        self._max_record_bytes = max_record_bytes
        self._clock = clock
        self._new_id = new_id

    def model(self, name: str | None) -> ModelInterface:
        """The live model of that name, or the default one; raises UnknownModel."""
        return self.models[name or self.default_model]

    def predict(self, model: ModelInterface, records: Sequence[Record]) -> list[Prediction]:
        """Answer all records or none; raises UnpredictableRecord, RecordTooLarge or OutboxFull."""
        began = time.perf_counter()
        outputs = model.predictor.predict([record.features for record in records])
        milliseconds = round((time.perf_counter() - began) * 1_000, 3)
        now = self._clock()
        predictions = [
            self._prediction(model, record, output, now, milliseconds)
            for record, output in zip(records, outputs, strict=True)
        ]
        self._append("prediction", predictions)
        return predictions

    def _prediction(
        self, model: ModelInterface, record: Record, output: ModelOutput, now: datetime, milliseconds: float
    ) -> Prediction:
        return Prediction(
            prediction_id=record.prediction_id or self._new_id(),
            model=model.manifest.name,
            model_version=model.manifest.version,
            created_at=now,
            features=record.features,
            context=record.context,
            prediction=output.prediction,
            probabilities=output.probabilities,
            latency_ms=milliseconds,
        )

    def take_feedback(self, items: Sequence[Feedback]) -> list[Target]:
        """Accept all targets or none; raises UnknownModel, InvalidInput, RecordTooLarge or as predict()."""
        now = self._clock()
        targets = [self._target(item, now) for item in items]
        self._append("target", targets)
        return targets

    def _append(self, kind: EventKind, items: Sequence[Prediction | Target]) -> None:
        bodies = [orjson.dumps(item.to_dict()) for item in items]
        limit = self._max_record_bytes
        if too_large := {index: len(body) for index, body in enumerate(bodies) if len(body) > limit}:
            raise RecordTooLarge(too_large, limit)
        self._events.append([NewEvent(kind, body) for body in bodies])

    def _target(self, item: Feedback, now: datetime) -> Target:
        manifest = self.model(item.model).manifest
        if manifest.task == "classification":
            return Target(item.prediction_id, manifest.name, _class_name(item.target), now)
        if isinstance(item.target, str):
            detail = f"model {manifest.name!r} predicts numbers; name another with 'model'"
            raise InvalidInput(detail, [{"field": "target", "detail": "Input should be a valid number"}])
        return Target(item.prediction_id, manifest.name, item.target, now)


def _class_name(target: float | str) -> str:
    return str(int(target)) if isinstance(target, float) and target.is_integer() else str(target)


def wire_answer(prediction: Prediction) -> Mapping[str, Any]:
    """The response to a client for one prediction."""
    answer: dict[str, Any] = {
        "prediction_id": prediction.prediction_id,
        "model": prediction.model,
        "model_version": prediction.model_version,
        "prediction": prediction.prediction,
    }
    if prediction.probabilities is not None:
        answer["probabilities"] = prediction.probabilities
    return answer
