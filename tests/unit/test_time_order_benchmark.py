"""The benchmark of alarms in time order: which windows are judged, by which rule, and how the result is told."""

import numpy as np
import pandas as pd

from benchmarks.synthetic_rows import synthetic_manifest, synthetic_rows
from benchmarks.time_order import RULE, SEXTANT, table
from benchmarks.time_order_judges import Chunks, evenly
from benchmarks.time_order_peer import count
from benchmarks.time_order_rows import Trial


def test_windows_do_not_overlap_and_are_spread_over_all_rows() -> None:
    assert evenly(1_000, 100, 4).tolist() == [0, 300, 600, 900]
    assert evenly(250, 100, 4).tolist() == [0, 100]
    assert evenly(50, 100, 4).tolist() == []


def test_the_rule_of_chunks_alarms_where_a_column_is_beyond_three_deviations_and_where_errors_grew() -> None:
    rows = synthetic_rows(3_000, np.random.default_rng(0))
    rule = Chunks.of(Trial("none", synthetic_manifest(), rows, np.arange(10), {}), 300)
    window = rows.iloc[:300]
    assert rule.alarms(window, together=False) == {"dataset_drift": False, "performance_degradation": False}
    assert rule.alarms(window.assign(speed=25.0), together=False)["dataset_drift"]
    assert rule.alarms(window.assign(target=window["target"] + 9.0), together=False)["performance_degradation"]


def test_the_table_sums_up_trials_and_leaves_out_what_a_judge_does_not_know() -> None:
    counts = [
        count("trips", "undrifted", 1_000, judge=judge, verdict="dataset_drift", told=told)
        for judge, told in ((SEXTANT, [False, True]), (SEXTANT, [False, False]), (RULE, [True] * 4))
    ]
    line = table(pd.DataFrame(counts), "command").splitlines()[-1]
    assert line.startswith("| trips | undrifted | 1,000 | 4 | 25 / 100 | - / - |")
