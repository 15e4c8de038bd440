"""The benchmark's model of the alert rules says at each moment what Prometheus says, and counts what it says."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.alert_rates import SCRAPE, WAITS, Bools, Floats, Scrapes, certain, delays, firing, times_fired

RULES = Path(__file__).parents[2] / "prometheus" / "rules"
WINDOW = 300
"""Seconds from a row's entry into the window to its leaving it."""

SERIES: Mapping[str, tuple[tuple[float, int], ...]] = {
    "short": ((0.5, 40), (1.3, 50), (0.5, 160)),
    "outlives_its_window": ((0.5, 40), (1.3, 260), (0.5, 40)),
    "at_twice_the_threshold": ((0.5, 40), (3.0, 30), (1.3, 170), (0.5, 40)),
    "taken_back_in_between": ((0.5, 40), (1.3, 50), (0.5, 30), (1.3, 50), (0.5, 20)),
    "certain_and_taken_back": ((0.5, 40), (3.0, 160), (0.5, 20), (1.3, 40), (0.5, 20)),
    "one_evaluation_in_between": ((0.5, 40), (1.3, 30), (0.5, 2), (1.3, 230), (0.5, 20)),
    "from_the_beginning": ((1.3, 240), (0.5, 20)),
}
"""Shares of the threshold, each for so many scrapes."""

METRICS = {
    "DatasetDrift": ("sextant_dataset_drift", {"sextant_drift_threshold_ratio": lambda share: share}),
    "PerformanceDegraded": (
        "sextant_performance_degradation_detected",
        {
            "sextant_performance_degradation_ratio": lambda share: 0.1 * share,
            "sextant_performance_degradation_threshold": lambda _: 0.1,
        },
    ),
}
STATES = {
    "certain": 'model_version_verdict:sextant_verdict:certain{{model="{name}"}} == 1',
    "firing": 'ALERTS{{alertstate="firing",model="{name}"}}',
}


def shares_of(name: str) -> Floats:
    return np.concatenate([np.full(count, share) for share, count in SERIES[name]])


def seen(shares: Floats) -> Scrapes:
    """Scrapes half a period before the rules are evaluated, as a window slides on."""
    times = (np.arange(len(shares)) + 1.0) * SCRAPE
    return Scrapes(times, shares > 1.0, shares, times - SCRAPE / 2 - WINDOW)


def input_series(alert: str, name: str) -> list[dict[str, str]]:
    """In steps of half a period; the rules are evaluated in those without a value."""
    scrapes = seen(shares_of(name))
    detected, others = METRICS[alert]
    series = {detected: scrapes.verdict.astype(float), "sextant_window_oldest_timestamp_seconds": scrapes.oldest}
    series |= {metric: np.array([value(share) for share in scrapes.share]) for metric, value in others.items()}
    labels = f'{{model="{name}",version="v1"}}'
    return [
        {"series": metric + labels, "values": " ".join(f"_ {value:g}" for value in values)}
        for metric, values in series.items()
    ]


def expressions(name: str, expected: Mapping[str, Bools]) -> list[dict[str, Any]]:
    """What is expected at each evaluation of the rules."""
    return [
        {
            "expr": f"count({expr.format(name=name)})",
            "eval_time": f"{time:g}s",
            "exp_samples": [{"labels": "{}", "value": 1}] if holds else [],
        }
        for state, expr in STATES.items()
        for time, holds in zip(seen(shares_of(name)).times, expected[state], strict=True)
    ]


def rule_test(alert: str, expected: Mapping[str, Mapping[str, Bools]]) -> dict[str, Any]:
    """Whether the rules say what is expected of each series, which is that of a model of its name."""
    return {
        "interval": f"{SCRAPE * 500}ms",
        "external_labels": dict.fromkeys(("grafana_url", "live_page_url", "reports_url"), "http://links"),
        "input_series": [series for name in expected for series in input_series(alert, name)],
        "promql_expr_test": [case for name, states in expected.items() for case in expressions(name, states)],
    }


def modelled(alert: str, name: str) -> dict[str, Bools]:
    scrapes = seen(shares_of(name))
    return {"certain": certain(scrapes), "firing": firing(alert, scrapes)["rule"]}


def promtool(folder: Path, test: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not on the PATH")
    files = [str(RULES / f"{name}.yml") for name in ("verdicts", "drift", "performance")]
    order = ["sextant-verdicts", "sextant-drift", "sextant-performance"]
    whole = {"rule_files": files, "group_eval_order": order, "evaluation_interval": f"{SCRAPE}s", "tests": [test]}
    path = folder / "test.yml"
    path.write_text(json.dumps(whole))
    return subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("alert", WAITS)
def test_the_model_says_what_the_rules_say_at_each_evaluation(alert: str, tmp_path: Path) -> None:
    done = promtool(tmp_path, rule_test(alert, {name: modelled(alert, name) for name in SERIES}))
    assert done.returncode == 0, (done.stdout + done.stderr)[:2_000]


def test_an_evaluation_of_difference_is_noticed(tmp_path: Path) -> None:
    expected = modelled("DatasetDrift", "at_twice_the_threshold")
    expected["firing"] = np.roll(expected["firing"], 1)
    said = promtool(tmp_path, rule_test("DatasetDrift", {"at_twice_the_threshold": expected}))
    assert said.returncode != 0
    assert "at_twice_the_threshold" in said.stdout + said.stderr


def test_each_alert_waits_as_long_as_in_the_rules() -> None:
    rules = [
        rule
        for path in RULES.glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    waits = {rule["alert"]: rule["for"] for rule in rules if rule.get("alert") in WAITS}
    assert waits == {"DatasetDrift": "45s", "PerformanceDegraded": "10m"}
    assert WAITS == {"DatasetDrift": 45, "PerformanceDegraded": 600}


TIMES = {
    "short": (1, 0),
    "outlives_its_window": (1, 1),
    "at_twice_the_threshold": (1, 1),
    "taken_back_in_between": (2, 0),
}


@pytest.mark.parametrize("name", TIMES)
def test_only_what_stands_at_twice_its_threshold_or_outlives_its_window_is_told(name: str) -> None:
    fired = firing("DatasetDrift", seen(shares_of(name)))
    assert (times_fired(fired["raw"]), times_fired(fired["rule"])) == TIMES[name]


@pytest.mark.parametrize("alert", WAITS)
def test_the_series_make_the_alert_fire_and_not(alert: str) -> None:
    assert {bool(modelled(alert, name)["firing"].any()) for name in SERIES} == {True, False}


def test_evaluations_are_held_until_the_next_one_and_come_no_more_often_than_the_service_makes_them() -> None:
    shares = np.arange(41.0)
    slow, fast = Scrapes.of(shares, 600, 10), Scrapes.of(shares, 60, 10)
    assert slow.share[:8].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert fast.share[:6].tolist() == [0, 0, 3, 3, 6, 6]
    assert slow.times[-1] == 1_200
    assert (slow.times - slow.oldest == 600).all()


def test_a_delay_counts_from_the_first_drifted_row_and_names_those_that_never_fired() -> None:
    fires = np.zeros(2_000, dtype=bool)
    fires[180:] = True
    assert delays([fires, np.zeros(2_000, dtype=bool)], 600) == "0.50 to 0.50 (300 s), 1 of 2 never"
