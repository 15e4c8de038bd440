"""Where a request ends is found however its bytes arrive, and no request may be longer than allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sextant.infrastructure.request_bytes import MAX_HEAD_BYTES, RequestBytes, TooLarge

LIMIT = 1_000
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\n"


def chunked(chunks: list[bytes], trailers: bytes = b"") -> bytes:
    lines = [b"%x;note=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks if chunk]
    return HEAD + b"Transfer-Encoding: gzip, Chunked\r\n\r\n" + b"".join(lines) + b"0\r\n" + trailers + b"\r\n"


def with_length(body: bytes) -> bytes:
    return HEAD + b"content-length:%d \r\n\r\n%s" % (len(body), body)


BODIES = st.binary(max_size=120) | st.sampled_from([b"\r\n\r\n", b"0\r\n\r\n", b"\r\n0\r\n\r\n"])
REQUESTS = st.one_of(
    st.just(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    BODIES.map(with_length),
    st.builds(chunked, st.lists(BODIES, max_size=4), st.sampled_from([b"", b"Digest: 1\r\n"])),
)


@given(request=REQUESTS, behind=st.binary(max_size=20), data=st.data())
def test_a_request_ends_where_it_ends_however_its_bytes_arrive(
    request: bytes, behind: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(1, len(request)), max_size=5)))
    gathered = RequestBytes(LIMIT)
    for start, end in zip([0, *cuts], [*cuts, len(request)], strict=True):
        assert not gathered.whole or start == len(request)
        gathered.feed(request[start:end])
    assert gathered.whole
    gathered.feed(behind)
    assert gathered.split() == (request, behind)


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"GET /" + b"x" * MAX_HEAD_BYTES, 431),
        (HEAD + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (HEAD + b"Content-Length: 1001\r\n\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 200, 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 20_000, 431),
    ],
)
def test_what_is_longer_than_allowed_is_refused_before_all_of_it_is_here(start: bytes, status: int) -> None:
    with pytest.raises(TooLarge) as refused:
        RequestBytes(LIMIT).feed(start)
    assert refused.value.status == status


@pytest.mark.parametrize("body", [b"zz\r\n", b"-1\r\n", b"\r\n", b"2\r\n{}XX0\r\n\r\n", b"1" * 9_000])
def test_malformed_chunks_are_left_to_the_parser(body: bytes) -> None:
    gathered = RequestBytes(100_000)
    gathered.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert gathered.whole


def test_a_client_may_ask_whether_to_send_its_body() -> None:
    gathered = RequestBytes(LIMIT)
    gathered.feed(HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert (gathered.expects_continue, gathered.whole, gathered.is_post) == (True, False, True)


def test_of_two_lengths_which_the_parser_refuses_the_longer_is_awaited() -> None:
    gathered = RequestBytes(LIMIT)
    gathered.feed(HEAD + b"Content-Length: 1\r\nContent-Length: 3\r\n\r\nab")
    assert not gathered.whole
    gathered.feed(b"c")
    assert gathered.whole
