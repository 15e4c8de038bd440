"""What makes a row of a file a usable target of a model, and the words for what does not."""

import math
import re
from datetime import datetime, timedelta
from typing import NamedTuple

from batch_flows.import_targets.file import Row
from sextant.contracts.events import stored_time
from sextant.contracts.model_bundle import Manifest

PREDICTION_ID = re.compile(r"[\x21-\x7e]{1,128}")
LONGEST_CLASS = 1_000
CLOCK_TOLERANCE = timedelta(minutes=5)


class CheckedRow(NamedTuple):
    """A target that may be stored; without `received_at` it counts as older than any stored one."""

    line: int
    prediction_id: str
    target: float | str
    received_at: datetime | None


def check_row(row: Row, manifest: Manifest, moment: datetime) -> CheckedRow:
    """The row as a target of the model; raises ValueError with the reason when it is malformed.

    `moment` is the time of the import: nothing can have been received after it.
    """
    if row.problem:
        raise ValueError(row.problem)
    if not PREDICTION_ID.fullmatch(row.prediction_id):
        raise ValueError(_wrong_id(row.prediction_id))
    if row.model not in {"", manifest.name}:
        raise ValueError(f"model is {_short(row.model)}, and the import is for {manifest.name}")
    return CheckedRow(row.line, row.prediction_id, _target(row.target, manifest), _moment(row.received_at, moment))


def _wrong_id(text: str) -> str:
    if not text:
        return "prediction_id is empty"
    return f"prediction_id is not 1 to 128 visible ASCII characters: {_short(text)}"


def _target(text: str, manifest: Manifest) -> float | str:
    if not text:
        raise ValueError("target is empty")
    return _number(text) if manifest.task == "regression" else _class(text, manifest.classes)


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


def _moment(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        moment = stored_time(text)
    except (ValueError, OverflowError) as error:
        reason = "has no time zone" if "no time zone" in str(error) else "is not an ISO 8601 time"
        raise ValueError(f"received_at {reason}: {_short(text)}") from None
    if moment > now + CLOCK_TOLERANCE:
        raise ValueError(f"received_at lies in the future: {_short(text)}")
    return moment


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
