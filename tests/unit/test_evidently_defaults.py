"""Evidently's own verdict, which the false-alarm benchmark sets beside ours."""

import pandas as pd

from sextant.contracts.schema import Feature
from sextant.evaluation.drift.stat_tests import evidently_default_drifted
from tests.bundles import make_trips

COLUMNS = [Feature(name="trip_distance", kind="numerical"), Feature(name="prediction", kind="numerical")]


def test_evidently_counts_drifted_columns_by_its_own_thresholds():
    reference: dict[str, pd.Series] = {
        name: make_trips(2_000, seed=1)[name] for name in ("trip_distance", "prediction")
    }
    assert not evidently_default_drifted(reference, COLUMNS, make_trips(2_000, seed=2))
    assert evidently_default_drifted(reference, COLUMNS, make_trips(2_000, seed=2, distance_factor=2.0))
