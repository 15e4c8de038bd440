"""Errors of the prediction service, placed in the shared tree."""

from collections.abc import Sequence
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


class InvalidInput(Rejected):
    """Records or feedback that do not fit; `errors` names each wrong field with its reason."""

    def __init__(self, detail: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)


class UnpredictableRecord(Rejected):
    """The model gives no finite answer for a record."""


class SinkUnavailable(Retryable):
    """A sink did not take a batch; the same batch is sent again later."""
