"""Structured logs: one JSON object a line on standard error, for people with jq and for log shippers."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor


def _to_json(event: dict[str, Any], **_: Any) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)


class Output:
    """Standard error, where a line that cannot be written is lost and counted: no request fails for its log.

    The next line that can be written says how many were lost, as `lost_lines`.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = getattr(stream, "raw", stream)  # a buffer would fail again and again
        self._torn = False
        self.lost = 0

    def write(self, line: bytes) -> None:
        """Write a line, or count it."""
        data = b"\n" + line if self._torn else line
        try:
            written = self._stream.write(data) or 0
        except (OSError, ValueError):  # no room, nobody reads, or closed
            written = 0
        if written:
            self._torn = written < len(data)
        self.lost = 0 if written == len(data) else self.lost + 1

    def flush(self) -> None:
        """Every line is."""


class OutputHandler(logging.Handler):
    """Writes what the standard library's loggers are given."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            self._output.write(self.format(record).encode() + b"\n")
        except Exception:  # noqa: BLE001 - as every handler: a line that cannot be made
            self.handleError(record)


def configure_logging(service: str, level: str) -> None:
    """Make structlog and the standard library's loggers write JSON lines that carry the service's name."""

    def stamp(_logger: object, method: str, event: EventDict) -> EventDict:
        # One processor for what structlog has four: a request logs a line, and the time counts.
        event.update(service=service, level=method, timestamp=datetime.now(UTC))
        if output.lost:
            event["lost_lines"] = output.lost
        return event

    output = Output(sys.stderr.buffer)

    ours: list[Processor] = [stamp, structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*ours, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(cast(BinaryIO, output)),
        cache_logger_on_first_use=True,
    )
    handler = OutputHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[stamp, structlog.stdlib.add_log_level, structlog.processors.format_exc_info],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=lambda event, **_: _to_json(event).decode()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def take_over_gunicorn_log(service: str, level: str) -> None:
    """Make gunicorn's own lines JSON like the others; to be called from its on_starting hook."""
    configure_logging(service, level)
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.handlers.clear()
    gunicorn.propagate = True
