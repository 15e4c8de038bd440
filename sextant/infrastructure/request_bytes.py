"""The bytes of one HTTP/1.1 request as they arrive, and where the request ends."""

import re

MAX_HEAD_BYTES = 64 << 10
MAX_CHUNK_LINE_BYTES = 8 << 10
END_OF_LINE, END_OF_HEAD = b"\r\n", b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,18})[ \t]*(?=\r\n)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding[ \t]*:[^\r\n]*chunked", re.IGNORECASE)
EXPECT = re.compile(rb"\r\nexpect[ \t]*:[ \t]*100-continue", re.IGNORECASE)


class TooLarge(Exception):
    """The request is longer than allowed; `status` says which part of it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestBytes:
    """Gathers one request; what is malformed counts as whole, so that the parser can say what is wrong."""

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body = max_body_bytes
        self._data = bytearray()
        self._seen = 0  # up to here there is no end of the head, or all chunks are whole
        self._body_from = 0
        self._end: int | None = None
        self._chunked = False
        self.whole = False
        self.expects_continue = False

    def __len__(self) -> int:
        return len(self._data)

    @property
    def is_post(self) -> bool:
        """Whether it asks for work, unlike what a health check or Prometheus asks."""
        return self._data.startswith(b"POST ")

    @property
    def path(self) -> str:
        """What it is for, as it stands in the request's line."""
        words = bytes(self._data[:200]).split(b" ", 2)
        return words[1].decode(errors="replace") if len(words) > 1 else ""

    def feed(self, piece: bytes) -> None:
        """Take what has arrived; raises TooLarge."""
        self._data += piece
        if not self._body_from:
            self._find_body()
        if self._chunked and not self.whole:
            self._follow_chunks()
        if self._end is not None:
            self.whole = len(self._data) >= self._end
        elif self._body_from and len(self._data) - self._body_from > self._max_body:
            raise TooLarge(413)

    def split(self) -> tuple[bytes, bytes]:
        """The request, and what came behind it."""
        end = self._end if self._end is not None else len(self._data)
        return bytes(self._data[:end]), bytes(self._data[end:])

    def _find_body(self) -> None:
        end = self._data.find(END_OF_HEAD, max(0, self._seen - 3))
        self._seen = len(self._data)
        if end > MAX_HEAD_BYTES or (end < 0 and len(self._data) > MAX_HEAD_BYTES):
            raise TooLarge(431)
        if end < 0:
            return
        head = bytes(self._data[: end + 2])
        self._seen = self._body_from = end + len(END_OF_HEAD)
        if CHUNKED.search(head):
            self._chunked = True
        else:
            size = max(map(int, CONTENT_LENGTH.findall(head)), default=0)
            if size > self._max_body:
                raise TooLarge(413)
            self._end = self._body_from + size
        self.expects_continue = EXPECT.search(head) is not None

    def _follow_chunks(self) -> None:
        while (line_end := self._data.find(END_OF_LINE, self._seen)) >= 0:
            size = _chunk_size(bytes(self._data[self._seen : line_end]))
            if size is None:
                self.whole = True
                return
            if size == 0:
                self._find_trailers_end(line_end)
                return
            if size > self._max_body:
                raise TooLarge(413)
            chunk_end = line_end + len(END_OF_LINE) + size + len(END_OF_LINE)
            if len(self._data) < chunk_end:
                return
            if self._data[chunk_end - len(END_OF_LINE) : chunk_end] != END_OF_LINE:
                self.whole = True
                return
            self._seen = chunk_end
        self.whole = len(self._data) - self._seen > MAX_CHUNK_LINE_BYTES

    def _find_trailers_end(self, line_end: int) -> None:
        # The last chunk's line and the trailers behind it end like a head: with an empty line.
        end = self._data.find(END_OF_HEAD, line_end)
        if end >= 0:
            self._end = end + len(END_OF_HEAD)
        elif len(self._data) - line_end > MAX_HEAD_BYTES:
            raise TooLarge(431)


def _chunk_size(line: bytes) -> int | None:
    digits = line.split(b";")[0].strip()
    return int(digits, 16) if re.fullmatch(rb"[0-9A-Fa-f]{1,15}", digits) else None
