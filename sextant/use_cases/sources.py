"""What a source of data is: two periods, the one a model learns from and the later one it meets as traffic."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sextant.contracts.errors import Fatal


class SourceError(Fatal):
    """The data that were asked for cannot be had."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What the user asked for: a source's name or folder, and optionally the two periods."""

    source: str
    raw_dir: Path
    reference: str | None = None
    traffic: str | None = None
    say: Callable[[str], None] = print


@dataclass(frozen=True, slots=True)
class Source:
    """Raw rows by period; `name` says where they come from, for manifests and for people."""

    name: str
    reference_period: str
    traffic_period: str | None
    load: Callable[[str], pd.DataFrame]

    def reference(self) -> pd.DataFrame:
        """Raw rows of the period that the model learns from."""
        return self.load(self.reference_period)

    def traffic(self) -> pd.DataFrame:
        """Raw rows of the later period; raises SourceError when the source has only one."""
        if self.traffic_period is None:
            raise SourceError(
                f"the source has only one period, {self.reference_period}; add a later one, or replay with "
                "--period reference-holdout"
            )
        return self.load(self.traffic_period)
