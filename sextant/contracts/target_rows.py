"""What makes a row of a file a target of a model, and the reasons why other rows are rejected."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self

from sextant.contracts.events import PREDICTION_ID, is_in_future, stored_time
from sextant.contracts.schema import Task

LONGEST_CLASS = 1_000


@dataclass(frozen=True, slots=True)
class TargetSchema:
    """What the targets of a model look like; `classes` None: not known, or a regression."""

    model: str
    task: Task
    classes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One row as text, empty where the file has nothing; `problem` when its fields cannot be told apart."""

    line: int
    prediction_id: str = ""
    target: str = ""
    model: str = ""
    received_at: str = ""
    problem: str = ""


class CheckedTarget(NamedTuple):
    """A target that may be stored; without `received_at` it counts as older than any stored one."""

    line: int
    prediction_id: str
    target: float | str
    received_at: datetime | None


class RejectedTarget(NamedTuple):
    """A row that cannot be stored, why, and its text, so that it can be corrected and imported again."""

    line: int
    reason: str
    prediction_id: str
    target: str
    model: str
    received_at: str

    @classmethod
    def of_row(cls, row: TargetRow, reason: str) -> Self:
        """A row that is malformed as it stands in the file."""
        return cls(row.line, reason, row.prediction_id, row.target, row.model, row.received_at)

    @classmethod
    def of_checked(cls, row: CheckedTarget, reason: str) -> Self:
        """A row that is well-formed but does not fit what is stored."""
        received_at = row.received_at.isoformat() if row.received_at else ""
        return cls(row.line, reason, row.prediction_id, str(row.target), "", received_at)


def check_rows(
    rows: Iterable[TargetRow], schema: TargetSchema, now: datetime
) -> tuple[list[CheckedTarget], list[RejectedTarget]]:
    """The rows that are targets of the model, and the rejected ones with the reason; both in order."""
    checked, rejected = [], []
    for row in rows:
        try:
            checked.append(check_row(row, schema, now))
        except ValueError as error:
            rejected.append(RejectedTarget.of_row(row, str(error)))
    return checked, rejected


def check_row(row: TargetRow, schema: TargetSchema, now: datetime) -> CheckedTarget:
    """The row as a target of the model; raises ValueError with the reason when it is malformed."""
    if row.problem:
        raise ValueError(row.problem)
    if not row.prediction_id:
        raise ValueError("prediction_id is empty")
    if not re.fullmatch(PREDICTION_ID, row.prediction_id):
        raise ValueError(f"prediction_id is not 1 to 128 visible ASCII characters: {_short(row.prediction_id)}")
    if row.model not in {"", schema.model}:
        raise ValueError(f"model is {_short(row.model)}, and the import is for {schema.model}")
    if not row.target:
        raise ValueError("target is empty")
    target = _number(row.target) if schema.task == "regression" else _class(row.target, schema.classes)
    return CheckedTarget(row.line, row.prediction_id, target, _received_at(row.received_at, now))


def _number(text: str) -> float:
    number = _float(text)
    if number is None:
        hint = "; decimals follow a point" if "," in text else ""
        raise ValueError(f"target is not a number: {_short(text)}{hint}")
    if not math.isfinite(number):
        raise ValueError(f"target is not finite: {_short(text)}")
    return number


def _float(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)  # Python would read 1_000
    except ValueError:
        return None


def _class(text: str, classes: tuple[str, ...] | None) -> str:
    if classes is None:
        if len(text) > LONGEST_CLASS:
            raise ValueError(f"target is longer than {LONGEST_CLASS:,} characters")
        return text
    for name in (text, _whole(text)):
        if name in classes:
            return name
    known = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
    raise ValueError(f"target is none of the model's classes ({known}): {_short(text)}")


def _whole(text: str) -> str:
    """A class that is a whole number, as the prediction service names it: tools write 2.0 beside empty cells."""
    number = _float(text)
    return str(int(number)) if number is not None and number.is_integer() else text


def _received_at(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        moment = stored_time(text)
    except (ValueError, OverflowError) as error:
        reason = "has no time zone" if "no time zone" in str(error) else "is not an ISO 8601 time"
        raise ValueError(f"received_at {reason}: {_short(text)}") from None
    if is_in_future(moment, now):
        raise ValueError(f"received_at lies in the future: {_short(text)}")
    return moment


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
