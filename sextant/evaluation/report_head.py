"""The head of a report's page: what it is about and each column's score against its threshold, before any plot.

Evidently's page names neither the model and window nor the thresholds.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape

from sextant.contracts.page_policy import PLOTS
from sextant.evaluation.drift.column import DRIFT
from sextant.evaluation.evaluate import Evaluation
from sextant.evaluation.performance.estimation import ESTIMATED
from sextant.evaluation.performance.measures import HEADLINE
from sextant.evaluation.verdict_words import judgement
from sextant.evaluation.verdicts import KINDS

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
POLICY = f'<meta http-equiv="Content-Security-Policy" content="{PLOTS}">'
NO_ICON = "<link rel='icon' href='data:,'>"  # or else browsers ask the server for one
BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)


def with_head(page: str, *, title: str, facts: Mapping[str, str], evaluation: Evaluation) -> str:
    """The page with title, facts and verdicts on top; raises ValueError for a page without a body."""
    body = BODY.search(page)
    if body is None:
        raise ValueError("the report is not an HTML page: it has no body")
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    head = f"<h1>{escape(title)}</h1><dl>{listed}</dl>{_drift(evaluation)}{_segments(evaluation)}"
    head = f"<style>{STYLE}</style><header class='sextant'>{head}</header>"
    return f"{page[: body.end()]}{head}{page[body.end() :]}".replace("<head>", f"<head>{POLICY}{NO_ICON}", 1)


def _drift(evaluation: Evaluation) -> str:
    columns = [verdict for verdict in evaluation.of(DRIFT) if verdict.value is not None]
    rows = [
        (
            bool(column.detected),
            column.column,
            f"{column.value:.3g}",
            "none" if column.threshold is None else f"{column.threshold:.3g}",
            judgement(column),
            column.effect.in_words() if column.effect else "",
            column.method,
        )
        for column in columns
    ]
    return _table(("Column", "Drift score", "Threshold", "Verdict", "How much", "Method"), rows)


def _segments(evaluation: Evaluation) -> str:
    """Each segment's verdicts of every kind that is about segments, beside its measures."""
    kinds = [kind for kind in KINDS if "segment" in kind.labels]
    rows = []
    for segment, size in evaluation.segments.items():
        verdicts = [evaluation.verdict(kind.name, segment=segment) for kind in kinds]
        cells = [judgement(verdict) if verdict else "" for verdict in verdicts]
        measures, reference = evaluation.measures[segment], evaluation.reference_measures[segment]
        headlines = [_headline(measures, reference, start) for start in ("", ESTIMATED)]
        bad = any(verdict is not None and verdict.detected for verdict in verdicts)
        rows.append((bad, segment, f"{size.rows:,}", *cells, *headlines))
    return _table(("Segment", "Rows", *(kind.title for kind in kinds), "Performance", "Estimated"), rows)


def _headline(measures: Mapping[str, float], reference: Mapping[str, float], start: str) -> str:
    """The one measure of the task, beside the reference's."""
    for name in (start + headline for headline in HEADLINE.values()):
        if name in measures:
            expected = f" (reference {reference[name]:.3g})" if name in reference else ""
            return f"{name} {measures[name]:.3g}{expected}"
    return ""


def _table(heads: Sequence[str], rows: Sequence[tuple[object, ...]]) -> str:
    """A table of texts; the first of a row is whether it stands out."""
    if not rows:
        return ""
    names = "".join(f"<th>{head}</th>" for head in heads)
    lines = []
    for bad, *cells in rows:
        mark, texts = " class='drifted'" if bad else "", (f"<td>{escape(str(cell))}</td>" for cell in cells)
        lines.append(f"<tr{mark}>{''.join(texts)}</tr>")
    return f"<table><tr>{names}</tr>{''.join(lines)}</table>"
