"""What the services' OpenAPI documents have in common."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

Json = dict[str, Any]
PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "Each wrong field and its reason"},
    },
}
RETRY_AFTER: Json = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds"}}
CLOSED = {
    "401": "No valid API key (where keys are asked for)",
    "403": "The key does not have the scope that this needs",
}
OVERLOADED = "Too many requests wait already; nothing was stored"


def document(title: str, description: str, paths: Json, schemes: Json) -> Json:
    """An OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": description},
        "paths": paths,
        "components": {"schemas": {"Problem": PROBLEM}, "securitySchemes": schemes},
    }


def get(
    summary: str,
    content_type: str = "application/json",
    *,
    parameters: Sequence[Json] = (),
    responses: Mapping[str, Json] = MappingProxyType({}),
    closed: bool = True,
) -> Json:
    """A path that is read; `responses` are those beside its content; `closed`: keys may be asked for."""
    found = {"200": answer(summary, content_type), **responses, **(problems(CLOSED) if closed else {})}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": found}}


def named(parameter: str, description: str) -> list[Json]:
    """The parameters of a path with one name in it."""
    schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
    return [{"name": parameter, "in": "path", "required": True, "schema": schema, "description": description}]


def answer(description: str, content_type: str = "application/json", schema: Json | None = None) -> Json:
    """One response."""
    kind = schema or {"type": "object" if content_type == "application/json" else "string"}
    return {"description": description, "content": {content_type: {"schema": kind}}}


def problems(descriptions: Mapping[str, str]) -> Json:
    """The error responses of a path, by status."""
    found = {}
    for status, text in descriptions.items():
        found[status] = answer(text, "application/problem+json", {"$ref": "#/components/schemas/Problem"})
        if status == "503":
            found[status]["headers"] = RETRY_AFTER
    return found
