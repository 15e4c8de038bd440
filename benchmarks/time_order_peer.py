"""Hands windows of `benchmarks.time_order` to NannyML in a Python of its own, and counts what it says of them."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.time_order_judges import categorical, monitored
from benchmarks.time_order_rows import Trial

PEER = "NannyML"

Count = dict[str, Any]
"""Of one verdict by one judge: data, rows, what was done to them, windows and alarms."""


def count(data: str, arm: str, size: int, *, judge: str, verdict: str, told: Sequence[bool]) -> Count:
    """A line of the result."""
    return {
        "data": data,
        "rows": size,
        "change": arm,
        "judge": judge,
        "verdict": verdict,
        "windows": len(told),
        "alarms": sum(told),
    }


class Files:
    """The reference and the windows of a trial as NannyML's process reads them."""

    def __init__(self, trial: Trial, folder: Path | None) -> None:
        self._trial, self._folder = trial, folder
        self._windows: dict[str, dict[str, str]] = {}
        if folder:
            folder.mkdir()
            trial.dense[monitored(trial)].to_parquet(folder / "reference.parquet")

    def add(self, arm: str, size: int, windows: Sequence[pd.DataFrame]) -> None:
        """Windows of one size, one after the other."""
        if self._folder:
            of_size = self._windows.setdefault(str(size), {})
            file = f"{size}-{len(of_size)}.parquet"
            of_size[file] = arm
            pd.concat(windows)[monitored(self._trial)].to_parquet(self._folder / file)

    def close(self) -> None:
        """With what there is to know of them."""
        if self._folder:
            about = {
                "data": self._trial.data,
                "columns": monitored(self._trial),
                "categories": categorical(self._trial),
                "features": list(self._trial.manifest.feature_schema.names),
                "windows": self._windows,
            }
            (self._folder / "about.json").write_text(json.dumps(about))


def nannyml_counts(python: str, folder: Path) -> Iterator[Count]:
    """What NannyML says of the windows in the folder."""
    script = Path(__file__).with_name("nannyml_chunks.py")
    subprocess.run([python, "-P", str(script), str(folder)], check=True, stdout=subprocess.DEVNULL)
    for trial, files in json.loads((folder / "alarms.json").read_text()).items():
        about = json.loads((folder / trial / "about.json").read_text())
        for size, arms in about["windows"].items():
            for file, arm in arms.items():
                for verdict, told in files[file].items():
                    yield count(about["data"], arm, int(size), judge=PEER, verdict=verdict, told=told)
