"""Generators of requests: every route of both services, with what is valid, nearly valid, hostile and broken."""

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.processes import AS_RELAY

TRIP: dict[str, Any] = {"PULocationID": "1", "DOLocationID": "2", "trip_distance": 2.0}
FLOWER = dict.fromkeys(("sepal_length", "sepal_width", "petal_length", "petal_width"), 1.0)
TRUTH: dict[str, Any] = {"prediction_id": "a", "target": 3.5}
NOW = "2026-01-01T00:00:00+00:00"
PREDICTION: dict[str, Any] = {
    "prediction_id": "a",
    "model": "taxi",
    "model_version": "v1",
    "created_at": NOW,
    "features": TRIP,
    "prediction": 1.0,
    "context": {},
}
TARGET: dict[str, Any] = {"prediction_id": "a", "model": "taxi", "target": 2.0, "received_at": NOW}
BATCH: dict[str, Any] = {"predictions": [PREDICTION], "targets": [TARGET]}


@dataclass(frozen=True)
class Route:
    """A route, an example of its body, and what stands for it in the table."""

    service: str
    path: str
    body: Any = None


ROUTES = (
    Route("prediction", "/predict", TRIP),
    Route("prediction", "/models/taxi/predict", TRIP),
    Route("prediction", "/models/iris/predict", FLOWER),
    Route("prediction", "/feedback", TRUTH),
    Route("monitoring", "/events", BATCH),
    *(
        Route("prediction", path)
        for path in ("/", "/models", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/", "/{junk}")
    ),
    *(
        Route("monitoring", path)
        for path in (
            "/",
            "/models/taxi/drift",
            "/models/{junk}/drift",
            "/models/{junk}/report",
            "/docs/runbooks/",
            "/docs/runbooks/{junk}.md",
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.json",
            "/{junk}",
        )
    ),
)


@dataclass(frozen=True)
class Request:
    """The bytes of one request, and where it belongs in the table."""

    route: Route
    method: str
    data: bytes = field(repr=False)


JUNK = st.one_of(
    st.sampled_from(
        ["..", "%2e%2e", "%00", "%ff", "a%2fb", "'", '"', "<script>", "{{7*7}}", "%0d%0aX:1", "~" * 3_000]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), min_size=1, max_size=20),
    st.binary(min_size=1, max_size=8).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)),
)
NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([10**30, -(2**63) - 1, 2**63, 2**64, 10**400]),
    st.floats(),
    st.sampled_from([1e308, -1e308, 5e-324, 3.5e38]),
)
TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "\0", "$ref", "a.b", "\ud800", "x" * 70_000, "2026-13-01"])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


def changed(draw: st.DrawFn, example: Any) -> Any:
    """The example with something in it replaced, added or left out, at any depth."""
    kind = draw(st.sampled_from(["value", "inside", "without", "more"]))
    if kind == "value" or not example or not isinstance(example, dict | list):
        return draw(VALUES)
    if isinstance(example, list):
        return [changed(draw, item) for item in example] if kind == "inside" else example * draw(st.integers(0, 3))
    name = draw(st.sampled_from(sorted(example)))
    if kind == "without":
        return {key: value for key, value in example.items() if key != name}
    if kind == "more":
        return example | {draw(TEXTS): draw(VALUES)}
    return example | {name: changed(draw, example[name])}


def as_json(value: Any, ensure_ascii: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ensure_ascii).encode(errors="surrogatepass")


@st.composite
def bodies(draw: st.DrawFn, example: Any) -> bytes:
    """JSON that fits, nearly fits or does not, and what is no JSON at all."""
    kind = draw(
        st.sampled_from(["fits", "list", "changed", "changed", "changed", "twice", "deep", "broken", "bytes"])
    )
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "deep":
        depth = draw(st.sampled_from([10, 17, 200, 1_025, 100_000]))
        opening, closing = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")]))
        return opening * depth + b"1" + closing * draw(st.sampled_from([depth, 0]))
    value = {
        "fits": lambda: example,
        "list": lambda: [example] * draw(st.sampled_from([0, 1, 2, 1_000, 1_001])),
        "changed": lambda: changed(draw, changed(draw, example)),
        "twice": lambda: example,
        "broken": lambda: changed(draw, example),
    }[kind]()
    text = as_json(value, draw(st.booleans()))
    if kind == "twice" and text.startswith(b"{"):  # every name a second time, with another value
        return (
            b"{"
            + b",".join(as_json(name, True) + b":" + as_json(draw(VALUES), True) for name in value)
            + b","
            + text[1:]
        )
    return text[: draw(st.integers(0, len(text)))] if kind == "broken" else text


def in_chunks(draw: st.DrawFn, body: bytes) -> bytes:
    """The body in chunks, some of which may be malformed."""
    size = draw(st.sampled_from([1 + len(body) // 3, 1 + len(body)]))
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    end = draw(
        st.sampled_from(
            [b"0\r\n\r\n", b"0\r\nDigest: x\r\n\r\n", b"", b"zz\r\n", b"-1\r\n", b"0\r\n", b"0" * 20_000]
        )
    )
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(part), part) for part in parts) + end


CONTENT_TYPES = (
    *["application/json"] * 6,
    "application/json; charset=utf-16",
    "application/problem+json",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "a" * 9_000,
    "\xff",
    "",
)
HEADERS = (
    *[b""] * 8,
    b"Content-Encoding: gzip\r\n",
    b"Accept: application/xml;q=x\r\n",
    b"Accept: application/openmetrics-text; version=1.0.0\r\n",
    b"X-API-Key: \xff\xfe\r\n",
    b"Cookie: a=b; c\r\n",
    b"Expect: 100-continue\r\n",
    b"Expect: nonsense\r\n",
    b"X-Forwarded-For: <script>\r\nX-Forwarded-Proto: https\r\n",
    b"Range: bytes=0-,5-1\r\n",
    b"If-Modified-Since: x\r\n",
    b"Host: evil.example\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"no colon\r\n",
    b" folded: x\r\n",
    b"X: " + b"y" * 20_000 + b"\r\n",
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One request to some route; half of all go to one that takes bodies, of which there are fewer."""
    route = draw(st.sampled_from([route for route in ROUTES if route.body is not None]) | st.sampled_from(ROUTES))
    usual = "GET" if route.body is None else "POST"
    method = draw(
        st.sampled_from([*[usual] * 15, "GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "G(T"])
    )
    path = route.path.replace("{junk}", draw(JUNK)) if "{junk}" in route.path else route.path
    query = draw(st.sampled_from(["", "", "", "?"])) and "?" + draw(JUNK)
    head = f"{method} {path}{query} HTTP/1.{draw(st.sampled_from('11111111110'))}\r\nHost: x\r\n".encode("latin-1")
    if route.service == "monitoring" and draw(st.integers(0, 9)):
        head += f"Authorization: {AS_RELAY['Authorization']}\r\n".encode()
    head += draw(st.sampled_from(HEADERS))
    if usual == "GET" and draw(st.integers(0, 9)):
        return Request(route, method, head + b"\r\n")
    body = draw(bodies(route.body))
    if draw(st.integers(0, 19)) == 0:
        body = gzip.compress(body)
    head += f"Content-Type: {draw(st.sampled_from(CONTENT_TYPES))}\r\n".encode("latin-1")
    if draw(st.integers(0, 7)) == 0:
        return Request(route, method, head + b"Transfer-Encoding: chunked\r\n\r\n" + in_chunks(draw, body))
    said = len(body) + draw(st.sampled_from([*[0] * 30, 1, -1, 1 << 40]))
    return Request(route, method, head + f"Content-Length: {said}\r\n\r\n".encode() + body)
