"""The doors of a Flask app: each route asks for a key of its scope as soon as there are keys."""

from collections.abc import Callable, Mapping

from flask import Flask, g, request

from sextant.infrastructure.doors import ADMIN, CHALLENGE, Door, Refused, admit, given_key
from sextant.infrastructure.http import Problem
from sextant.infrastructure.keys import KeyRing

Count = Callable[[str, str], None]
"""Takes the name of a key ("" where none was valid) and what became of the request."""
Limit = Callable[[str], float | None]
"""Counts a request of this client; answers the seconds to wait where it was too many."""


def guard(
    app: Flask,
    keys: KeyRing,
    doors: Mapping[str, Door],
    *,
    count: Count = lambda _key, _outcome: None,
    limit: Limit | None = None,
) -> None:
    """Ask for keys as `doors` says, by the route's rule; a route that it does not name opens for `admin` alone.

    `limit` counts POST requests.
    """

    @app.before_request
    def check() -> None:
        if keys.closed:
            _ask_for_key(keys, doors, count, limit)
        elif limit and request.method == "POST":
            _keep_within(limit, f"address {request.remote_addr}")


def sender() -> dict[str, str]:
    """The name of the key that the request was let in by, for its log line; nothing where none is asked for."""
    return {"key": g.key} if "key" in g else {}


def _ask_for_key(keys: KeyRing, doors: Mapping[str, Door], count: Count, limit: Limit | None) -> None:
    rule = request.url_rule
    door = doors.get(rule.rule, ADMIN) if rule else ADMIN
    if door is None:
        return
    environ = request.environ  # request.headers would be made for these two alone
    try:
        key = admit(keys, door, given_key(environ.get("HTTP_X_API_KEY"), environ.get("HTTP_AUTHORIZATION")))
    except Refused as error:
        count("", "refused" if error.status == 401 else "out_of_scope")
        challenge = CHALLENGE if request.method == "GET" else "Bearer"
        more = {"WWW-Authenticate": challenge} if error.status == 401 else {}
        raise Problem(error.status, str(error), headers=more) from None
    if limit and request.method == "POST":
        try:
            _keep_within(limit, key.name)
        except Problem:
            count(key.name, "rate_limited")
            raise
    g.key = key.name
    count(key.name, "accepted")


def _keep_within(limit: Limit, client: str) -> None:
    if (seconds := limit(client)) is not None:
        detail = f"too many requests; the limit (RATE_LIMIT) begins anew in {seconds:.0f} s"
        raise Problem(429, detail, headers={"Retry-After": f"{seconds:.0f}"})
