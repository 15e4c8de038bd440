"""Events for tests: predictions and targets as the prediction service would send them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pandas as pd

from sextant.contracts.events import Prediction, Target

CONTEXT = ("payment_type",)
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def prediction(number: int, **changes: Any) -> Prediction:
    """The taxi model's prediction p<number>, a tenth of a second after the one before."""
    values = {
        "prediction_id": f"p{number}",
        "model": "taxi",
        "model_version": "v1",
        "created_at": NOON + timedelta(milliseconds=100 * number),
        "features": {"trip_distance": 1.5, "PULocationID": "74"},
        "context": {"payment_type": 1},
        "prediction": 10.0 + number,
        "latency_ms": 0.5,
    }
    return Prediction(**{**values, **changes})


def predictions_from(
    rows: pd.DataFrame, *, model: str = "taxi", version: str = "v1", start: datetime = START, prefix: str = "p"
) -> list[Prediction]:
    """One prediction a row, a second apart, with ids that sort like their times; payment_type is context."""
    features = rows.drop(columns=["prediction", "target", *CONTEXT], errors="ignore").to_dict("records")
    contexts = rows.filter(CONTEXT).to_dict("records") or [{} for _ in features]
    return [
        Prediction(
            prediction_id=f"{prefix}{number:06}",
            model=model,
            model_version=version,
            created_at=start + timedelta(seconds=number),
            features={str(name): value for name, value in record.items()},
            prediction=prediction,
            context={str(name): value for name, value in context.items()},
        )
        for number, (record, context, prediction) in enumerate(
            zip(features, contexts, rows["prediction"].tolist(), strict=True)
        )
    ]


def targets_from(rows: pd.DataFrame, predictions: Sequence[Prediction], *, delay: float = 60.0) -> list[Target]:
    """The truth about each prediction, known `delay` seconds after it was made."""
    return [
        Target(made.prediction_id, made.model, target, made.created_at + timedelta(seconds=delay))
        for made, target in zip(predictions, rows["target"].tolist(), strict=True)
    ]


def body_of(predictions: Sequence[Prediction] = (), targets: Sequence[Target] = ()) -> dict[str, Any]:
    """The body of POST /events, as it looks after it has been JSON."""
    body = {
        "predictions": [prediction.to_dict() for prediction in predictions],
        "targets": [target.to_dict() for target in targets],
    }
    decoded: dict[str, Any] = orjson.loads(orjson.dumps(body))
    return decoded
