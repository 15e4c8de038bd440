"""The OpenAPI description of the prediction service, made from the schemas of the live models."""

from collections.abc import Sequence

from prediction_service.records import MAX_RECORDS, Feedback, ModelInterface
from sextant.infrastructure.openapi import CLOSED, Json, answer, document, get, problems

ERRORS = {
    "400": "The body is not JSON",
    **CLOSED,
    "404": "No such model",
    "413": "The body is too large, or a record of it, which is named",
    "415": "The body is not application/json",
    "422": "Fields that do not fit the schema, each named",
    "429": "More requests than the limit allows; retry after Retry-After seconds",
    "503": "The outbox is full, too many requests wait, or the model does not load: nothing was stored",
}


def specification(models: Sequence[ModelInterface], default: str) -> Json:
    """An OpenAPI 3.1 document with one predict route a live model, and the default model's under /predict."""
    paths: Json = {f"/models/{model.manifest.name}/predict": {"post": _predict(model)} for model in models}
    for model in models:
        if model.manifest.name == default:
            paths["/predict"] = {"post": {**_predict(model), "summary": f"Ask the default model, {default}"}}
    paths["/feedback"] = {"post": _feedback()}
    paths["/models"] = get("The live models and their schemas")
    paths["/healthz"] = get("Whether the process lives", closed=False)
    unready = {"503": answer("What is failing")}
    paths["/readyz"] = get(
        "Whether it can accept predictions, and what is failing", responses=unready, closed=False
    )
    paths["/metrics"] = get("Prometheus metrics", "text/plain")
    paths["/openapi.json"] = get("This document")
    paths["/docs/"] = get("This document as a page", "text/html")
    about = "A 200 means that the prediction is on disk and will reach the store exactly once."
    schemes = {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    return document("Sextant prediction service", about, paths, schemes)


def _predict(model: ModelInterface) -> Json:
    record = model.record_type.model_json_schema(ref_template="#/components/schemas/{model}")
    one: Json = {
        "type": "object",
        "required": ["prediction_id", "model", "model_version", "prediction"],
        "properties": {
            "prediction_id": {"type": "string"},
            "model": {"type": "string"},
            "model_version": {"type": "string"},
            "prediction": {"type": ["number", "string"]},
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    }
    many = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": one}},
    }
    return {
        "summary": f"Ask {model.manifest.name} for its {model.manifest.target}",
        "description": (
            "One record, or a list that is answered all or nothing. Fields that the schema does not know are kept "
            "with the prediction as context. Send your own prediction_id to make a retry safe."
        ),
        "requestBody": _one_or_many(record),
        "responses": {"200": answer("Answered, and on disk", schema={"oneOf": [one, many]}), **problems(ERRORS)},
    }


def _feedback() -> Json:
    accepted = {"type": "object", "properties": {"accepted": {"type": "integer"}}}
    return {
        "summary": "Tell the truth about earlier predictions, in any order and at any time",
        "requestBody": _one_or_many(Feedback.model_json_schema()),
        "responses": {"202": answer("Accepted, and on disk", schema=accepted), **problems(ERRORS)},
    }


def _one_or_many(item: Json) -> Json:
    many = {"type": "array", "items": item, "minItems": 1, "maxItems": MAX_RECORDS}
    return {"required": True, "content": {"application/json": {"schema": {"oneOf": [item, many]}}}}
