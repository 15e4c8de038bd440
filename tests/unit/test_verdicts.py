"""The one form of every verdict, and the table that metrics, pages, JSON and reports read."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from monitoring_service.metrics import GAUGES, MODEL, metric_name
from sextant.contracts.schema import Feature, FeatureSchema
from sextant.evaluation.drift.calibration import Calibration, ColumnThresholds, segment_test
from sextant.evaluation.drift.column import measure_drift
from sextant.evaluation.drift.scorers import scorer_of
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.estimation import PerformanceEstimator
from sextant.evaluation.reference import Reference
from sextant.evaluation.verdict import NOT_CALIBRATED, Effect, Verdict, any_of, as_dicts, detected, furthest
from sextant.evaluation.verdict_words import alarms, in_words, judgement
from sextant.evaluation.verdicts import BY_NAME, KINDS, Kind
from tests.bundles import evaluated, make_manifest

P_VALUES = {"distance": ("numerical", "ks"), "zone": ("categorical", "chisquare")}
SCHEMA = FeatureSchema(
    features=tuple(
        Feature(name=name, kind=kind, drift_method=method)  # type: ignore[arg-type]
        for name, (kind, method) in P_VALUES.items()
    )
)
ONE_PERCENT = {
    **{name: ColumnThresholds(method, 2_000, (30, 1_000), (2.0, 2.0)) for name, (_, method) in P_VALUES.items()},
    **{
        name: ColumnThresholds("wasserstein_clipped", 2_000, (30, 1_000), (0.5, 0.2))
        for name in ("prediction", "target")
    },
}
"""Thresholds of 0.01 for the p-values, and some for the distances."""


def make_rows(rows: int, *, seed: int, share: float = 0.0) -> pd.DataFrame:
    """Of all rows that share is from zone 1, goes farther and is harder to predict than the others."""
    random = np.random.default_rng(seed)
    other = random.random(rows) < share
    distance = random.lognormal(0.8, 0.7, rows) * np.where(other, 3.0, 1.0)
    return pd.DataFrame(
        {
            "zone": np.where(other, "1", random.integers(1, 9, rows).astype(str)),
            "distance": distance.round(2),
            "prediction": 4.0 + 4.5 * distance,
            "target": 4.0 + 4.5 * distance + random.normal(0.0, np.where(other, 9.0, 3.0), rows),
            "payment": np.where(other, "2", random.choice(["1", "2"], rows)),
        }
    )


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.prepare(make_manifest(SCHEMA, segments=("payment",)), make_rows(2_000, seed=1))


@pytest.fixture(scope="module")
def estimator(reference: Reference) -> PerformanceEstimator:
    return PerformanceEstimator.fit(reference)


@pytest.fixture(scope="module")
def found(reference: Reference, estimator: PerformanceEstimator) -> list[Evaluation]:
    """Evaluations of windows that drift not at all, hardly, and plainly."""
    by_segment = {
        segment_test(name, segment): thresholds
        for segment in reference.segments
        for name, thresholds in ONE_PERCENT.items()
    }
    return [
        evaluated(
            reference,
            make_rows(500, seed=seed, share=share),
            Calibration(0.01, ONE_PERCENT, {}),
            segment_calibration=Calibration(0.01, by_segment, {}),
            estimator=estimator,
        )
        for seed, share in enumerate((0.0, 0.02, 0.05, 0.1, 0.5))
    ]


# --- how far ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", P_VALUES)
def test_a_p_value_is_beyond_its_threshold_exactly_when_it_is_detected(reference: Reference, name: str) -> None:
    column, scorer = SCHEMA[name], scorer_of(SCHEMA[name], reference.values[name])
    sides: Counter[bool | None] = Counter()
    for number in range(60):
        window = make_rows(500, seed=100 + number, share=number / 300)
        verdict = measure_drift(column, scorer, window[name], ONE_PERCENT[name])
        assert verdict.method == P_VALUES[name][1]
        assert verdict.value is not None
        assert verdict.threshold == pytest.approx(0.01)
        assert verdict.threshold_ratio is not None
        assert verdict.detected is (verdict.threshold_ratio > 1.0) is (verdict.value < verdict.threshold)
        sides[verdict.detected] += 1
    assert min(sides[True], sides[False]) >= 10


@pytest.mark.parametrize("method", ["ks", "chisquare"])
def test_the_smaller_a_p_value_the_further_it_is_down_to_none_at_all(method: str) -> None:
    class Scorer:
        def __init__(self, score: float) -> None:
            self.score = lambda _: score
            self.effect = lambda *_: Effect(0.0, 0.0, 0.0)

    column = next(feature for feature in SCHEMA.features if feature.drift_method == method)
    p_values = [1.0, 0.5, 0.011, 0.0101, 0.0099, 0.001, 1e-20, 1e-290, 0.0]
    verdicts = [
        measure_drift(column, Scorer(p), pd.Series(["1"] * 100), ONE_PERCENT[column.name]) for p in p_values
    ]
    ratios = [verdict.threshold_ratio or 0.0 for verdict in verdicts]
    assert ratios == sorted(set(ratios))
    assert ratios[0] == 0.0
    assert np.isfinite(ratios).all()
    assert [verdict.detected for verdict in verdicts] == [False] * 4 + [True] * 5


def test_whatever_is_judged_is_detected_beyond_one_threshold_and_only_there(found: list[Evaluation]) -> None:
    sides: set[tuple[str, bool]] = set()
    for evaluation in found:
        for verdict in evaluation.verdicts:
            if verdict.detected is not None:
                assert verdict.threshold_ratio is not None
                assert verdict.detected is (verdict.threshold_ratio > 1.0), verdict
                sides.add((verdict.name, verdict.detected))
            else:
                assert verdict.reason, verdict
    judged = {kind.name for kind in KINDS if kind.judge} - {"data_quality", "fairness_gap", "concept_drift"}
    assert sides >= {(name, side) for name in judged for side in (True, False)}


def test_every_kind_that_is_judged_on_each_window_has_a_verdict_in_the_order_of_the_table(
    reference: Reference, found: list[Evaluation]
) -> None:
    order = [kind.name for kind in KINDS if kind.judge]
    for evaluation in (*found, evaluated(reference, make_rows(1, seed=1))):
        assert list(dict.fromkeys(verdict.name for verdict in evaluation.verdicts)) == order


# --- one form for programs --------------------------------------------------------------------------------------


def test_a_verdict_for_programs_has_its_numbers_and_of_the_rest_what_applies() -> None:
    assert Verdict("concept_drift", 0.3, 0.2, 1.5, True).as_dict() == {
        "name": "concept_drift",
        "value": 0.3,
        "threshold": 0.2,
        "threshold_ratio": 1.5,
        "detected": True,
    }
    unjudged = {"value": None, "threshold": None, "threshold_ratio": None, "detected": None}
    assert Verdict("fairness_gap", segment="payment=1", reason="too few").as_dict() == {
        "name": "fairness_gap",
        **unjudged,
        "reason": "too few",
        "segment": "payment=1",
    }
    quality = Verdict("data_quality", 0.0, None, 0.0, False, column="x", check="missing", reference=0.0)
    assert quality.as_dict() == {
        "name": "data_quality",
        "value": 0.0,
        "threshold": None,
        "threshold_ratio": 0.0,
        "detected": False,
        "column": "x",
        "check": "missing",
        "reference": 0.0,
    }


def test_what_a_verdict_sums_up_is_told_in_the_same_form() -> None:
    cause = Verdict("drift", 0.3, 0.2, 1.5, True, column="x", method="ks")
    whole = any_of("segment_drift", (cause,), segment="payment=1", reason="")
    assert whole.as_dict() == {
        "name": "segment_drift",
        "value": 1.0,
        "threshold": None,
        "threshold_ratio": 1.5,
        "detected": True,
        "segment": "payment=1",
        "causes": [cause.as_dict()],
    }


def test_every_verdict_of_an_evaluation_is_plain_json(found: list[Evaluation]) -> None:
    for evaluation in found:
        documents = as_dicts(evaluation.verdicts)
        assert orjson.loads(orjson.dumps(documents)) == documents


# --- verdicts that sum up others --------------------------------------------------------------------------------

NEAR, FAR = (
    Verdict("drift", ratio, 1.0, ratio, True, column=name) for name, ratio in (("near", 1.5), ("far", 4.0))
)
WITHIN = Verdict("drift", 0.5, 1.0, 0.5, False, column="within")
UNKNOWN = Verdict("drift", 0.5, column="unknown", reason=NOT_CALIBRATED)


def test_the_furthest_is_told_first_and_what_is_not_judged_counts_on_neither_side() -> None:
    assert detected([NEAR, UNKNOWN, WITHIN, FAR]) == [FAR, NEAR]
    assert furthest([NEAR, UNKNOWN, WITHIN, FAR]) == 4.0
    assert furthest([UNKNOWN]) is None
    assert any_of("dataset_drift", (NEAR, UNKNOWN, WITHIN, FAR), reason="") == Verdict(
        "dataset_drift", 2 / 3, None, 4.0, True
    )
    assert any_of("dataset_drift", (UNKNOWN, WITHIN), reason="") == Verdict("dataset_drift", 0.0, None, 0.5, False)


def test_where_nothing_could_be_judged_the_sum_is_not_judged_either_and_says_why() -> None:
    for columns in ((), (UNKNOWN,)):
        assert any_of("dataset_drift", columns, reason="why") == Verdict("dataset_drift", reason="why")


def test_the_columns_of_a_segment_are_kept_with_it_and_those_of_the_window_have_their_own_place() -> None:
    assert any_of("segment_drift", (NEAR, WITHIN), segment="a=1", reason="").causes == (NEAR, WITHIN)
    assert any_of("dataset_drift", (NEAR, WITHIN), reason="").causes == ()


# --- alarms -----------------------------------------------------------------------------------------------------


def test_alarms_come_in_the_order_of_the_table_and_columns_only_as_their_sum() -> None:
    quality = Verdict("data_quality", 0.2, None, 3.0, True, column="x", check="missing", reference=0.0)
    gaps = [
        Verdict("fairness_gap", ratio, 0.1, ratio / 0.1, True, segment=f"a={ratio}") for ratio in (0.2, 0.4, 0.3)
    ]
    quiet = [
        WITHIN,
        Verdict("concept_drift", 0.1, 0.2, 0.5, False),
        Verdict("estimated_degradation", reason="why"),
    ]
    together = Verdict("multivariate_drift", 0.7, 0.6, 2.0, True)
    dataset = any_of("dataset_drift", (NEAR, FAR), reason="")
    told = alarms([quality, *gaps, *quiet, together, NEAR, FAR, dataset])
    assert [(kind.name, verdicts) for kind, verdicts in told] == [
        ("dataset_drift", [dataset]),
        ("multivariate_drift", [together]),
        ("fairness_gap", [gaps[1], gaps[2], gaps[0]]),
        ("data_quality", [quality]),
    ]
    assert alarms(quiet) == []


def test_what_sums_up_another_kind_is_in_the_table_and_alarms_itself() -> None:
    by = {kind.name: kind.summed_up_by for kind in KINDS if kind.summed_up_by}
    assert by == {"drift": "dataset_drift"}
    assert BY_NAME["dataset_drift"].summed_up_by == ""


# --- metrics and help texts -------------------------------------------------------------------------------------


def helps(kind: Kind) -> list[str]:
    return [GAUGES[metric_name(kind, suffix)][0] for suffix in kind.metrics]


def test_no_two_kinds_share_a_name_a_title_or_a_metric() -> None:
    assert list(BY_NAME) == [kind.name for kind in KINDS]
    for texts in (
        [kind.name for kind in KINDS],
        [kind.title for kind in KINDS],
        [kind.value for kind in KINDS],
        [kind.found for kind in KINDS],
        [metric_name(kind, suffix) for kind in KINDS for suffix in kind.metrics],
    ):
        assert all(texts)
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("kind", KINDS, ids=BY_NAME)
def test_each_metric_of_a_kind_has_a_help_text_of_its_own_and_the_labels_of_the_kind(kind: Kind) -> None:
    assert kind.metrics
    assert all(text.endswith(".") for text in helps(kind))
    assert len(set(helps(kind))) == len(kind.metrics)
    for suffix in kind.metrics:
        name = metric_name(kind, suffix)
        assert name.startswith(kind.name)
        assert not name.endswith("_")
        assert GAUGES[name][1] == (*MODEL, *kind.labels)
    assert bool(kind.chance) is ("threshold" in kind.metrics.values())


def test_a_metric_tells_what_its_field_holds() -> None:
    for kind in KINDS:
        texts = dict(zip(kind.metrics.values(), helps(kind), strict=True))
        assert texts["detected"] == kind.found
        if "value" in texts:
            assert texts["value"] == kind.value
        if "threshold" in texts:
            assert texts["threshold"] == kind.chance


# --- in words ---------------------------------------------------------------------------------------------------

WORDS = {
    "score": [
        (Verdict("drift", 0.12345, 0.2, 0.62, False, column="x"), "0.123, within the threshold of 0.2"),
        (Verdict("drift", 1e-9, 0.01, 4.5, True, column="x"), "1e-09, beyond the threshold of 0.01"),
        (Verdict("multivariate_drift", 0.71, reason=NOT_CALIBRATED), "0.71 (not calibrated yet)"),
        (Verdict("drift", column="x", reason="only 0 values"), "not judged: only 0 values"),
    ],
    "ratio": [
        (Verdict("concept_drift", 0.25, 0.1, 2.5, True), "+25.0%, beyond the threshold of +10.0%"),
        (Verdict("concept_drift", 12.5, 0.1, 125.0, True), "+1,250.0%, beyond the threshold of +10.0%"),
        (Verdict("concept_drift", -0.05, 0.1, -0.5, False), "-5.0%, within the threshold of +10.0%"),
        (Verdict("fairness_gap", 0.5, segment="a=1", reason=NOT_CALIBRATED), "+50.0% (not calibrated yet)"),
        (Verdict("fairness_gap", segment="a=1", reason="no error"), "not judged: no error"),
    ],
    "share": [
        (
            Verdict("data_quality", 0.05, None, 2.0, True, column="x", check="missing", reference=0.0),
            "5.0% (reference 0.0%)",
        ),
        (
            Verdict("data_quality", 0.05, column="x", check="missing", reference=0.0, reason=NOT_CALIBRATED),
            "5.0% (not calibrated yet)",
        ),
        (any_of("dataset_drift", (NEAR, WITHIN), reason=""), "drift"),
        (any_of("dataset_drift", (WITHIN,), reason=""), "no drift"),
        (any_of("segment_drift", (NEAR, WITHIN, FAR), segment="a=1", reason=""), "drift: far, near"),
        (any_of("segment_drift", (), segment="a=1", reason="too few rows"), "not judged: too few rows"),
    ],
}


@pytest.mark.parametrize(
    ("unit", "verdict", "words"), [(unit, *case) for unit, cases in WORDS.items() for case in cases]
)
def test_a_verdict_in_words_names_value_and_threshold_or_why_there_is_none(
    unit: str, verdict: Verdict, words: str
) -> None:
    assert BY_NAME[verdict.name].unit == unit
    assert in_words(verdict) == words


@pytest.mark.parametrize("kind", KINDS, ids=BY_NAME)
def test_each_kind_has_a_word_for_each_judgement(kind: Kind) -> None:
    yes, no, none = (judgement(Verdict(kind.name, 0.1, detected=side)) for side in (True, False, None))
    assert (yes, no, none) == (kind.yes, kind.no, "no verdict")
    assert len({yes, no, none}) == 3


@pytest.mark.parametrize(
    ("about", "subject"),
    [
        ({}, ""),
        ({"column": "x"}, "x"),
        ({"column": "x", "check": "out_of_range"}, "x out of range"),
        ({"segment": "a=1"}, "a=1"),
        ({"column": "x", "segment": "a=1"}, "x in a=1"),
    ],
)
def test_the_subject_of_a_verdict_is_told_in_a_few_words(about: dict[str, Any], subject: str) -> None:
    assert Verdict("drift", **about).subject == subject


def test_a_verdict_without_a_judgement_keeps_what_was_measured_and_about_what() -> None:
    judged = replace(NEAR, method="ks", reference=0.1)
    assert judged.because("why") == Verdict("drift", 1.5, column="near", method="ks", reference=0.1, reason="why")
