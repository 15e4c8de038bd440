"""The head of a report's page: what it is about and each column's score against its threshold, before any plot.

Evidently's page names neither the model and window nor the thresholds.
"""

import re
from collections.abc import Mapping
from html import escape

from sextant.evaluation.by_segment import SegmentEvaluation
from sextant.evaluation.drift.column import ColumnDrift
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.estimation import ESTIMATED
from sextant.evaluation.performance.measures import HEADLINE

STYLE = """
.sextant{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:1.5rem auto;padding:0 1.5rem;color:#1f2937}
.sextant h1{font-size:1.5rem;margin:0 0 .5rem}
.sextant dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.5rem;margin:0}
.sextant dt,.sextant th{color:#6b7280;font-weight:normal;text-align:left}
.sextant dd{margin:0;overflow-wrap:anywhere}
.sextant table{border-collapse:collapse;margin-top:1rem}
.sextant td,.sextant th{padding:.15rem 1.5rem .15rem 0}
.sextant .drifted{color:#a40e26;font-weight:600}
"""
NO_ICON = "<link rel='icon' href='data:,'>"  # or else browsers ask the server for one
BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)


def with_head(page: str, *, title: str, facts: Mapping[str, str], evaluation: Evaluation) -> str:
    """The page with title, facts and scores on top; raises ValueError for a page without a body."""
    body = BODY.search(page)
    if body is None:
        raise ValueError("the report is not an HTML page: it has no body")
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    head = f"<h1>{escape(title)}</h1><dl>{listed}</dl>{_scores(evaluation)}{_segments(evaluation)}"
    head = f"<style>{STYLE}</style><header class='sextant'>{head}</header>"
    return f"{page[: body.end()]}{head}{page[body.end() :]}".replace("<head>", f"<head>{NO_ICON}", 1)


def _scores(evaluation: Evaluation) -> str:
    if not evaluation.drift:
        return ""
    rows = "".join(_score(column) for column in evaluation.drift.values())
    names = "".join(f"<th>{name}</th>" for name in ("Column", "Drift score", "Threshold", "Verdict", "Method"))
    return f"<table><tr>{names}</tr>{rows}</table>"


def _score(column: ColumnDrift) -> str:
    threshold = "not calibrated" if column.threshold is None else f"{column.threshold:.3g}"
    verdict = {None: "no verdict", True: "drifted", False: "no drift"}[column.drifted]
    kind = " class='drifted'" if column.drifted else ""
    return (
        f"<tr{kind}><td>{escape(column.column)}</td><td>{column.score:.3g}</td><td>{threshold}</td>"
        f"<td>{verdict}</td><td>{escape(column.method)}</td></tr>"
    )


def _segments(evaluation: Evaluation) -> str:
    rows = "".join(_segment(name, segment) for name, segment in evaluation.segments.items())
    heads = ("Segment", "Rows", "Verdict", "Drifted columns", "Performance", "Estimated")
    names = "".join(f"<th>{head}</th>" for head in heads)
    return f"<table><tr>{names}</tr>{rows}</table>" if rows else ""


def _segment(name: str, segment: SegmentEvaluation) -> str:
    measured = _headline(segment.performance.measures, segment.reference_performance.measures)
    cells = (
        name,
        f"{segment.rows:,}",
        {None: "no verdict", True: "drifted", False: "no drift"}[segment.drifted],
        ", ".join(segment.drifted_columns),
        measured,
        _headline(segment.estimated, segment.reference_estimated),
    )
    kind = " class='drifted'" if segment.drifted else ""
    return f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _headline(measures: Mapping[str, float], reference: Mapping[str, float]) -> str:
    """The one measure of the task, beside the reference's."""
    for name in (start + headline for start in ("", ESTIMATED) for headline in HEADLINE.values()):
        if name in measures:
            expected = f" (reference {reference[name]:.3g})" if name in reference else ""
            return f"{name} {measures[name]:.3g}{expected}"
    return ""
