from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from sextant.contracts.events import Prediction, Target, Value
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation.frames import conform, to_frame
from sextant.evaluation.quality import measure_quality
from tests.bundles import make_manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = FeatureSchema(
    features=(
        Feature(name="zone", kind="categorical", categories=("1", "2")),
        Feature(name="distance", kind="numerical", minimum=0.0, maximum=10.0),
    )
)
MANIFEST = make_manifest(SCHEMA)


def prediction(identifier: str, **features: Value) -> Prediction:
    return Prediction(identifier, "taxi", "v1", NOW, features, 5.0)


def test_features_get_the_types_of_their_kind() -> None:
    frame = to_frame([prediction("a", zone=1, distance=3), prediction("b", zone="2", distance=4.5)], {}, MANIFEST)
    assert frame["zone"].tolist() == ["1", "2"]
    assert frame["distance"].dtype == np.float64


def test_an_absent_feature_and_a_missing_target_are_missing() -> None:
    target = Target("a", "taxi", 7.0, NOW)
    frame = to_frame([prediction("a", distance=3.0), prediction("b", zone="1")], {"a": target}, MANIFEST)
    assert frame["zone"].isna().tolist() == [True, False]
    assert frame["distance"].isna().tolist() == [False, True]
    assert frame["target"].isna().tolist() == [False, True]


def test_no_predictions_give_an_empty_frame_with_all_columns() -> None:
    frame = to_frame([], {}, MANIFEST)
    assert list(frame.columns) == ["zone", "distance", "prediction", "target"]
    assert frame.empty


def test_text_in_a_numerical_feature_and_infinity_are_missing() -> None:
    frame = conform(pd.DataFrame({"zone": ["1"] * 3, "distance": ["far", np.inf, 2]}), MANIFEST)
    assert frame["distance"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("value", "category"), [(41, "41"), (41.0, "41"), ("41", "41"), (2.5, "2.5"), (None, None), (np.nan, None)]
)
def test_a_category_is_compared_as_text(value: Value, category: str | None) -> None:
    frame = conform(pd.DataFrame({"zone": pd.Series([value], dtype=object), "distance": [1.0]}), MANIFEST)
    assert frame["zone"].tolist() == [category]


def test_probabilities_have_a_column_for_each_class() -> None:
    asked = Prediction(
        "a", "iris", "v1", NOW, {"zone": "1"}, "setosa", probabilities={"setosa": 0.9, "other": 0.1}
    )
    manifest = make_manifest(SCHEMA, task="classification", classes=("other", "setosa"))
    frame = to_frame([asked], {}, manifest)
    assert frame.loc["a", ["probability_setosa", "probability_other"]].tolist() == [0.9, 0.1]


def test_what_the_manifest_does_not_name_makes_no_column() -> None:
    odd = Prediction("a", "taxi", "v1", NOW, {"zone": "1", "made_up": 1}, 5.0, probabilities={"made_up": 0.9})
    assert set(to_frame([odd], {}, MANIFEST).columns) == {"zone", "distance", "prediction", "target"}


def test_quality_is_a_share_of_all_rows() -> None:
    distance = pd.Series([1.0, -1.0, 11.0, np.nan])
    quality = measure_quality(distance, SCHEMA["distance"])
    assert quality.missing_ratio == 0.25
    assert quality.out_of_range_ratio == 0.5
    assert quality.unseen_category_ratio is None


def test_an_unseen_category_is_not_a_missing_one() -> None:
    quality = measure_quality(pd.Series(["1", "3", None, "2"], dtype=object), SCHEMA["zone"])
    assert (quality.missing_ratio, quality.unseen_category_ratio) == (0.25, 0.25)
