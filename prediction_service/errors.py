"""Errors of the prediction service, placed in the shared tree."""

from collections.abc import Mapping, Sequence
from typing import Any

from sextant.contracts.errors import Fatal, Rejected, Retryable


class OutboxFull(Retryable):
    """The outbox has reached its limit, or the disk has: nothing more can be promised."""


class OutboxUnavailable(Retryable):
    """The outbox cannot be written at the moment."""


class OutboxCorrupt(Fatal):
    """The outbox file is not readable as one."""


class UnknownModel(Rejected):
    """No such model is live."""


class ModelUnavailable(Retryable):
    """The model is there, but its live version does not load."""


class InvalidInput(Rejected):
    """Records or feedback that do not fit; `errors` names each wrong field with its reason."""

    def __init__(self, detail: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)


class RecordTooLarge(Rejected):
    """Events beyond the limit for one; `errors` names each by its index in the request, with its size."""

    def __init__(self, sizes: Mapping[int, int], limit: int) -> None:
        self.errors = [
            {"record": index, "detail": f"{size:,} bytes as stored, more than {limit:,}"}
            for index, size in sizes.items()
        ]
        first = next(iter(sizes))
        super().__init__(
            f"record {first} takes {sizes[first]:,} bytes as stored, more than the limit of {limit:,} "
            f"(MAX_RECORD_BYTES); {len(sizes)} such, and nothing of the request was stored"
        )


class UnpredictableRecord(Rejected):
    """The model gives no finite answer for a record."""


class SinkUnavailable(Retryable):
    """A sink did not take a batch; the same batch is sent again later."""
