"""How every HTTP service of Sextant reads JSON and answers errors: RFC 9457 problem details."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import orjson
import structlog
from flask import Flask, Request, Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from sextant.contracts.errors import Retryable, SextantError

RETRY_AFTER_SECONDS = "5"
DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
LONG_INTEGER = b"0" * 19
log = structlog.get_logger(__name__)


class Problem(HTTPException):
    """An error answer: a status, one sentence, and where useful each wrong field with its reason."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[dict[str, Any]] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = status
        self.errors = list(errors)
        self.headers = headers or {}


def json_response(data: Any, status: int = 200) -> Response:
    """A JSON answer; NumPy numbers and datetimes (as ISO 8601) are understood."""
    body = orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)
    return Response(body, status, mimetype="application/json")


def read_json(request: Request) -> Any:
    """The request's JSON body; raises Problem 415, 413 or 400 (NaN and Infinity are not JSON)."""
    # The plain header is what nearly all clients send; parsing it would take longer than parsing the body.
    if request.content_type != "application/json" and request.mimetype != "application/json":
        raise Problem(415, f"send application/json, not {request.mimetype or 'a body without a content type'}")
    body = _body(request)
    try:
        data = orjson.loads(body)
        # orjson makes integers beyond 64 bits floats, so that they would be stored as others. A regular expression
        # takes twenty times as long as this to find them.
        return json.loads(body) if LONG_INTEGER in body.translate(DIGITS_AS_ZEROS) else data
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not valid JSON: {error}") from None


def _body(request: Request) -> bytes:
    try:
        return request.get_data(cache=False)  # of no more than the limit: the worker refuses longer ones
    except RequestEntityTooLarge:
        limit = request.max_content_length or 0
        raise Problem(413, f"the body is longer than {limit:,} bytes, the limit for a request") from None
    except HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - the server's own errors for what a client sent: a wrong chunk, a cut
        raise Problem(400, f"the body cannot be read: {type(error).__name__}") from None


def answer_errors_as_problems(
    app: Flask, statuses: Mapping[type[SextantError], int] = MappingProxyType({})
) -> None:
    """Answer every error of the app as application/problem+json, never as a page or a stack trace.

    `statuses` gives errors of the domain, each with all below it in the tree, their HTTP status.
    """
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Exception, _internal_problem)
    for kind, status in statuses.items():
        app.register_error_handler(kind, partial(_domain_problem, status))


def _domain_problem(status: int, error: SextantError) -> Response:
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if isinstance(error, Retryable) else {}
    return _http_problem(Problem(status, str(error), errors=getattr(error, "errors", ()), headers=headers))


def _http_problem(error: HTTPException) -> Response:
    status = error.code or 500
    response = _problem_response(status, error.name, error.description or "", getattr(error, "errors", []))
    response.headers.extend(getattr(error, "headers", {}))
    if valid := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(valid))
    return response


def _internal_problem(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _problem_response(500, "Internal Server Error", "unexpected error; the log has the details", [])


def _problem_response(status: int, title: str, detail: str, errors: Sequence[dict[str, Any]]) -> Response:
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if errors:
        body["errors"] = errors
    return Response(orjson.dumps(body), status, mimetype="application/problem+json")
