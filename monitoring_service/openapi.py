"""The OpenAPI description of the monitoring service."""

from typing import Any

from monitoring_service.usable import LONGEST_ID, LONGEST_TEXT
from sextant.infrastructure.openapi import OVERLOADED, answer, document, get, named, problems

Json = dict[str, Any]
TEXT: Json = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
VALUE: Json = {"anyOf": [{"type": "number"}, {"type": "string", "maxLength": LONGEST_TEXT}]}
TIME: Json = {"type": "string", "format": "date-time"}
PREDICTION: Json = {
    "type": "object",
    "required": ["prediction_id", "model", "model_version", "created_at", "features", "prediction"],
    "properties": {
        "prediction_id": TEXT,
        "model": TEXT,
        "model_version": TEXT,
        "created_at": TIME,
        "features": {"type": "object", "additionalProperties": {"anyOf": [*VALUE["anyOf"], {"type": "null"}]}},
        "prediction": VALUE,
        "context": {"type": "object"},
        "probabilities": {"type": ["object", "null"], "additionalProperties": {"type": "number"}},
        "latency_ms": {"type": ["number", "null"], "minimum": 0},
    },
}
ANYTHING: Json = {"description": "Any other item is rejected alone, with the reason"}
TARGET: Json = {
    "type": "object",
    "required": ["prediction_id", "model", "target", "received_at"],
    "properties": {"prediction_id": TEXT, "model": TEXT, "target": VALUE, "received_at": TIME},
}


def _list(items: Json, described: str) -> Json:
    return {"type": "array", "items": {"anyOf": [items, ANYTHING]}, "description": described}


COUNT = {"type": "integer", "minimum": 0}
TAKEN: Json = {
    "type": "object",
    "required": ["accepted", "duplicates", "too_old", "in_future", "rejected"],
    "properties": {
        **dict.fromkeys(("accepted", "duplicates", "too_old", "in_future"), COUNT),
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string"},
                    "prediction_id": {"type": ["string", "null"]},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}


def specification() -> Json:
    """An OpenAPI 3.1 document of every route."""
    page, of_model, unknown = "text/html", named("name", "A model"), problems({"404": "No such model"})
    empty = problems({"409": "The window is empty"})
    paths: Json = {
        "/events": {"post": _events()},
        "/models/{name}/drift": get("The latest evaluation of a model", parameters=of_model, responses=unknown),
        "/models/{name}/report": get(
            "Evidently's report of the current window", page, parameters=of_model, responses=unknown | empty
        ),
        "/": get("The live page", page),
        "/key": get("Whether the key may read; the proxy asks it"),
        "/docs/runbooks/": get("The list of runbooks", page),
        "/docs/runbooks/{alert}.md": get(
            "What to do about an alert",
            page,
            parameters=named("alert", "An alert"),
            responses=problems({"404": "No such runbook"}),
        ),
        "/metrics": get("Prometheus metrics", "text/plain"),
        "/healthz": get("Whether the process lives", closed=False),
        "/readyz": get(
            "Whether the windows are filled", responses=problems({"503": "What is missing"}), closed=False
        ),
        "/openapi.json": get("This document"),
    }
    schemes = {"Relay": {"type": "http", "scheme": "bearer", "description": "EVENTS_TOKEN, which the relay has"}}
    return document("Sextant monitoring service", "Tells whether models can still be trusted.", paths, schemes)


def _events() -> Json:
    events = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "predictions": _list(PREDICTION, "Predictions"),
            "targets": _list(TARGET, "Targets"),
        },
    }
    errors = {
        "400": "The body is not JSON",
        "401": "Only the relay may send events",
        "413": "The body is too large",
        "415": "The body is not application/json",
        "422": "Not a batch of events",
        "503": OVERLOADED,
    }
    return {
        "summary": "Take events; each is judged alone, and again is no harm",
        "security": [{"Relay": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": events}}},
        "responses": {"202": answer("What became of them", schema=TAKEN), **problems(errors)},
    }
