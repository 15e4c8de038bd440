"""The OpenAPI description of the prediction service, made from the schemas of the live models."""

from collections.abc import Sequence
from typing import Any

from prediction_service.records import MAX_RECORDS, Feedback, ModelInterface

Json = dict[str, Any]
PROBLEM: Json = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "Each wrong field and its reason"},
    },
}
ERRORS = {
    "400": "The body is not JSON",
    "401": "No valid API key (where keys are asked for)",
    "403": "The key does not have the scope that this needs",
    "404": "No such model",
    "413": "The body is too large, or a record of it, which is named",
    "415": "The body is not application/json",
    "422": "Fields that do not fit the schema, each named",
    "429": "More requests than the limit allows; retry after Retry-After seconds",
    "503": "The outbox is full or the model does not load: nothing was stored; retry after Retry-After seconds",
}


def specification(models: Sequence[ModelInterface], default: str) -> Json:
    """An OpenAPI 3.1 document with one predict route a live model, and the default model's under /predict."""
    paths: Json = {f"/models/{model.manifest.name}/predict": {"post": _predict(model)} for model in models}
    for model in models:
        if model.manifest.name == default:
            paths["/predict"] = {"post": {**_predict(model), "summary": f"Ask the default model, {default}"}}
    paths["/feedback"] = {"post": _feedback()}
    for route, summary in {
        "/models": "The live models and their schemas",
        "/healthz": "Whether the process lives",
        "/readyz": "Whether it can accept predictions, and what is failing if not",
        "/metrics": "Prometheus metrics",
    }.items():
        paths[route] = {"get": {"summary": summary, "responses": {"200": {"description": "OK"}}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sextant prediction service",
            "version": "1",
            "description": "A 200 means that the prediction is on disk and will reach the store exactly once.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM},
            "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        },
    }


def _predict(model: ModelInterface) -> Json:
    record = model.record_type.model_json_schema(ref_template="#/components/schemas/{model}")
    answer: Json = {
        "type": "object",
        "properties": {
            "prediction_id": {"type": "string"},
            "model": {"type": "string"},
            "model_version": {"type": "string"},
            "prediction": {"type": ["number", "string"]},
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    }
    answers = {"type": "object", "properties": {"predictions": {"type": "array", "items": answer}}}
    return {
        "summary": f"Ask {model.manifest.name} for its {model.manifest.target}",
        "description": (
            "One record, or a list that is answered all or nothing. Fields that the schema does not know are kept "
            "with the prediction as context. Send your own prediction_id to make a retry safe."
        ),
        "requestBody": _one_or_many(record),
        "responses": {"200": _json("Answered, and on disk", {"oneOf": [answer, answers]}), **_errors()},
    }


def _feedback() -> Json:
    accepted = {"type": "object", "properties": {"accepted": {"type": "integer"}}}
    return {
        "summary": "Tell the truth about earlier predictions, in any order and at any time",
        "requestBody": _one_or_many(Feedback.model_json_schema()),
        "responses": {"202": _json("Accepted, and on disk", accepted), **_errors()},
    }


def _one_or_many(item: Json) -> Json:
    many = {"type": "array", "items": item, "minItems": 1, "maxItems": MAX_RECORDS}
    return {"required": True, "content": {"application/json": {"schema": {"oneOf": [item, many]}}}}


def _errors() -> Json:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": text, "content": problem} for status, text in ERRORS.items()}


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
