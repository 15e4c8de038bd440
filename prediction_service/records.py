"""What clients may send: each model's records and the feedback, checked field by field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from prediction_service.errors import InvalidInput
from prediction_service.predictor import Predictor
from sextant.contracts.events import PREDICTION_ID, Value
from sextant.contracts.schema import Feature

MAX_RECORDS = 1_000
MAX_CONTEXT_DEPTH = 16
FLOAT32_MAX = float(np.finfo(np.float32).max)
INT64 = range(-(2**63), 2**63)


def _category(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("category", "Input should be a string or an integer")
    return str(value)


Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-FLOAT32_MAX, le=FLOAT32_MAX)]
Category = Annotated[
    str,
    Field(min_length=1, max_length=1_000),
    BeforeValidator(_category),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1, "maxLength": 1000}, {"type": "integer"}]}),
]
PredictionId = Annotated[str, Field(strict=True, pattern=PREDICTION_ID, description="Set it to retry safely")]


class Feedback(BaseModel):
    """The truth about one earlier prediction."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prediction_id: PredictionId
    target: Number | Annotated[str, Field(min_length=1, max_length=1_000)]
    model: str | None = Field(None, description="Default: the model behind POST /predict")


@dataclass(frozen=True, slots=True)
class Record:
    """A valid record: what the model sees, and what is kept beside it."""

    prediction_id: str | None
    features: Mapping[str, Value]
    context: Mapping[str, Any]


class ModelInterface:
    """A live model together with the form of its records."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.manifest = predictor.manifest
        self.record_type = _record_type(self.manifest.name, self.manifest.feature_schema.features)
        self._names = tuple(enumerate(self.manifest.feature_schema.names))

    def parse(self, body: object) -> list[Record]:
        """The records of a request body, an object or a list; raises InvalidInput that names every wrong field."""
        records, errors = [], []
        for index, item in enumerate(_items(body)):
            prefix = f"/{index}" if isinstance(body, list) else ""
            try:
                records.append(self._parse_one(item))
                errors.extend(_context_errors(records[-1].context, prefix))
            except ValidationError as error:
                errors.extend(field_errors(error, prefix))
        errors.extend(_repeated_ids(records))
        if errors:
            raise InvalidInput(f"{len(errors)} invalid field(s) for model {self.manifest.name!r}", errors)
        return records

    def _parse_one(self, item: object) -> Record:
        parsed = self.record_type.model_validate(item)
        values = parsed.__dict__
        features = {name: values[f"f{position}"] for position, name in self._names}
        return Record(values["prediction_id"], features, parsed.__pydantic_extra__ or {})


def parse_feedback(body: object) -> list[Feedback]:
    """The feedback in a request body, an object or a list; raises InvalidInput that names every wrong field."""
    items, errors = [], []
    for index, item in enumerate(_items(body)):
        try:
            items.append(Feedback.model_validate(item))
        except ValidationError as error:
            errors.extend(field_errors(error, f"/{index}" if isinstance(body, list) else ""))
    if errors:
        raise InvalidInput(f"{len(errors)} invalid field(s) in the feedback", errors)
    return items


def field_errors(error: ValidationError, prefix: str) -> list[dict[str, Any]]:
    """Each wrong field once, with a JSON pointer into the request body and a reason."""
    found: dict[str, dict[str, Any]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        field = str(detail["loc"][0]) if detail["loc"] else ""
        pointer = f"{prefix}/{field}" if field else prefix
        known = found.setdefault(pointer, {"field": field, "pointer": pointer, "detail": detail["msg"]})
        if detail["msg"] not in known["detail"]:
            known["detail"] += f", or: {detail['msg']}"
    return list(found.values())


def _items(body: object) -> list[object]:
    if not isinstance(body, list):
        return [body]
    if not 1 <= len(body) <= MAX_RECORDS:
        raise InvalidInput(f"a list holds 1 to {MAX_RECORDS} items, this one {len(body)}")
    return body


def _repeated_ids(records: list[Record]) -> list[dict[str, Any]]:
    seen: set[str] = set()
    errors = []
    for index, record in enumerate(records):
        if record.prediction_id is not None and record.prediction_id in seen:
            pointer = f"/{index}/prediction_id"
            errors.append({"field": "prediction_id", "pointer": pointer, "detail": "repeated in this request"})
        seen.add(record.prediction_id or "")
    return errors


def _record_type(model: str, features: tuple[Feature, ...]) -> type[BaseModel]:
    # Positions, not names: a feature may be called what pydantic keeps for itself ("copy", "_x").
    fields: dict[str, Any] = {f"f{position}": _field(feature) for position, feature in enumerate(features)}
    return create_model(
        f"{model}_record",
        __config__=ConfigDict(extra="allow"),
        prediction_id=(PredictionId | None, None),
        **fields,
    )


def _field(feature: Feature) -> tuple[Any, Any]:
    kind: Any = Number if feature.kind == "numerical" else Category
    if feature.required:
        return kind, Field(alias=feature.name, description=feature.description)
    return kind | None, Field(None, alias=feature.name, description=feature.description)


def _context_errors(context: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """What MongoDB could not hold, or not unchanged: odd names, integers beyond 64 bits, endless nesting."""
    reasons = ((name, _unstorable({name: value}, 0)) for name, value in context.items())
    return [{"field": name, "pointer": f"{prefix}/{name}", "detail": reason} for name, reason in reasons if reason]


def _unstorable(value: object, depth: int) -> str | None:
    if depth > MAX_CONTEXT_DEPTH:
        return f"Input should be nested at most {MAX_CONTEXT_DEPTH} deep"
    if isinstance(value, int) and value not in INT64:
        return "Integers should fit into 64 bits"
    if isinstance(value, dict):
        if any("\0" in name or name.startswith("$") for name in value):
            return "Names should hold no NUL character and not begin with $, which MongoDB reads as its own"
        return next(filter(None, (_unstorable(inner, depth + 1) for inner in value.values())), None)
    if isinstance(value, list):
        return next(filter(None, (_unstorable(inner, depth + 1) for inner in value)), None)
    return None
