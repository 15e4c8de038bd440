"""Calibrations kept as JSON files, so that a restart and the batch flows need not resample again."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from contracts.schema import Feature
from evaluation.calibration import Calibration, ColumnThresholds, Progress, calibrate
from evaluation.reference import Reference
from evaluation.stat_tests import method_of

RECIPE = 1
"""Counts the changes to how thresholds are found: a calibration of another recipe is made anew."""


class CalibrationCache:
    """A folder of calibrations, one file for each reference, set of methods and false-alarm rate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(
        self,
        reference: Reference,
        reference_sha256: str,
        *,
        false_alarm_rate: float,
        progress: Progress | None = None,
    ) -> Calibration:
        """The kept calibration, or a new one, which is then kept where the folder can be written."""
        path = self._folder / _file_name(reference.columns, reference_sha256, false_alarm_rate)
        kept = _read(path)
        if kept is not None:
            return kept
        calibration = calibrate(
            reference.values, reference.columns, false_alarm_rate=false_alarm_rate, progress=progress
        )
        _write(path, calibration)
        return calibration


def _file_name(columns: Sequence[Feature], reference_sha256: str, rate: float) -> str:
    methods = [(c.name, c.kind, method_of(c), c.minimum, c.maximum) for c in columns]
    key = orjson.dumps([RECIPE, reference_sha256, methods, rate])
    return f"{hashlib.sha256(key).hexdigest()[:24]}.json"


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".calibration-")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(orjson.dumps(asdict(calibration), option=orjson.OPT_INDENT_2))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        return  # a read-only folder costs a calibration at each start, nothing else
