"""The page of the health summary."""

import json
import re

from batch_flows.health_summary.facts import (
    Health,
)
from batch_flows.health_summary.figures import figures
from batch_flows.health_summary.page import render
from tests.health import START, WINDOW, history, report, week


def page(health: Health) -> str:
    return render(health, START, "assets/plotly.js")


def test_the_page_shows_the_facts_in_tables_and_the_plots_below() -> None:
    text = page(Health(WINDOW, [week(report(12, True, "trip_distance"))], history()))
    for fact in ("735", "50.0 % (368)", "99.99 %", "12.5 %", "40 of 49", "250 ms", "2 h 30 min", "1,200"):
        assert fact in text
    assert '<a href="r12.html">last report</a>' in text
    assert "mae 3.21 (reference 2.4)" in text
    assert text.index("Slowest hours") < text.index('class="plot"')


def test_without_prometheus_the_page_has_mongodbs_part_and_the_note() -> None:
    text = page(Health(WINDOW, [week()], notes=["Prometheus (here) does not answer: refused."]))
    assert "Prometheus (here) does not answer: refused." in text
    assert "Mean latency by hour" in text
    assert "Availability" not in text


def test_a_week_without_traffic_is_a_finding_and_has_no_empty_plots() -> None:
    text = page(Health(WINDOW, [week(hours=0)]))
    assert "none: zero traffic" in text
    assert "0 of 49" in text
    assert 'class="plot"' not in text


def test_names_from_elsewhere_cannot_leave_their_place() -> None:
    evil = '</script><img src=x onerror="alert(1)">'
    text = page(Health(WINDOW, [week(model=evil)], history(uptime={evil: 0.5}, p95={evil: {START: 1.0}}), [evil]))
    assert "<img" not in text
    (figures_json,) = re.findall(r'id="figures">(.*?)</script>', text)
    assert json.loads(figures_json)[0]["data"][0]["name"] == evil


def test_every_plot_is_one_that_plotly_accepts() -> None:
    from plotly.graph_objects import Figure

    drawn = figures(Health(WINDOW, [week(report(12, True, "trip_distance")), week(model="iris")], history()))
    assert len(drawn) == 6
    for figure in drawn:
        assert Figure(data=figure.data, layout=figure.layout).data
