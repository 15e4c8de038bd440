"""Calibrations kept as JSON files, so that a restart and the batch flows need not resample again."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from sextant.contracts.files import write_atomically
from sextant.evaluation.drift.calibration import (
    Calibration,
    ColumnThresholds,
    Progress,
    calibrate,
    calibrate_segments,
)
from sextant.evaluation.drift.column import InTime, Thresholds
from sextant.evaluation.drift.multivariate import METHOD, MULTIVARIATE_DRIFT, DomainClassifier
from sextant.evaluation.drift.stat_tests import method_of
from sextant.evaluation.reference import Reference

RECIPE = 6
"""Counts the changes to how thresholds are found: a calibration of another recipe is made anew."""


class CalibrationCache:
    """A folder of calibrations, one file for each reference, family of tests, set of methods and rate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def columns(
        self, reference: Reference, sha256: str, *, false_alarm_rate: float, progress: Progress | None = None
    ) -> Calibration:
        """Thresholds of every column: kept ones, or new ones, which are then kept where the folder can be written.

        `sha256` identifies the reference's rows.
        """

        if reference.nulls is not None:  # measured with the bundle
            return Calibration(false_alarm_rate, {}, {})

        def make() -> Calibration:
            return calibrate(
                reference.values, reference.columns, false_alarm_rate=false_alarm_rate, progress=progress
            )

        return self._get(_key("columns", reference, sha256, false_alarm_rate), make)

    def segments(
        self, reference: Reference, sha256: str, *, false_alarm_rate: float, progress: Progress | None = None
    ) -> Calibration:
        """Thresholds of every column of every segment, likewise."""
        if reference.nulls is not None:
            return Calibration(false_alarm_rate, {}, {})

        def make() -> Calibration:
            parts = {name: part.values for name, part in reference.segments.items()}
            return calibrate_segments(
                parts, reference.columns, false_alarm_rate=false_alarm_rate, progress=progress
            )

        return self._get(_key("segments", reference, sha256, false_alarm_rate), make)

    def multivariate(
        self,
        reference: Reference,
        domain: DomainClassifier,
        sha256: str,
        *,
        false_alarm_rate: float,
        progress: Progress | None = None,
    ) -> Thresholds:
        """The threshold of all features together, likewise; raises ValueError for too small a reference."""
        if reference.nulls is not None:
            null = reference.nulls.of((MULTIVARIATE_DRIFT, "", ""))
            if null is None:
                raise ValueError("the reference period is too short to tell what differs between days")
            return InTime(METHOD, null, false_alarm_rate)

        def make() -> Calibration:
            thresholds = domain.calibrate(false_alarm_rate=false_alarm_rate, progress=progress)
            return Calibration(false_alarm_rate, {METHOD: thresholds}, {})

        return self._get(_key("multivariate", reference, sha256, false_alarm_rate), make).columns[METHOD]

    def _get(self, key: str, make: Callable[[], Calibration]) -> Calibration:
        path = self._folder / f"{key}.json"
        kept = _read(path)
        if kept is None:
            kept = make()
            _write(path, kept)
        return kept


def _key(family: str, reference: Reference, sha256: str, rate: float) -> str:
    methods = [(c.name, c.kind, method_of(c), c.minimum, c.maximum) for c in reference.columns]
    segments = [(column.name, column.values) for column in reference.segment_columns]
    key = orjson.dumps([RECIPE, family, sha256, methods, segments if family == "segments" else None, rate])
    return hashlib.sha256(key).hexdigest()[:24]


def _read(path: Path) -> Calibration | None:
    """None for a file that is missing, torn or not ours: it is only a cache."""
    try:
        data: dict[str, Any] = orjson.loads(path.read_bytes())
        columns = {name: _thresholds(kept) for name, kept in data["columns"].items()}
        return Calibration(data["false_alarm_rate"], columns, data["failures"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _thresholds(kept: dict[str, Any]) -> ColumnThresholds:
    return ColumnThresholds(
        kept["method"], kept["reference_rows"], tuple(kept["sizes"]), tuple(kept["severities"])
    )


def _write(path: Path, calibration: Calibration) -> None:
    with suppress(OSError):  # a folder that is full or read-only costs a calibration at each start, nothing else
        write_atomically(path, orjson.dumps(asdict(calibration), option=orjson.OPT_INDENT_2))
