"""The head of a report's page: what it is about, before any plot."""

import re
from collections.abc import Mapping
from html import escape

STYLE = """
.sextant{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:1.5rem auto;padding:0 1.5rem;color:#1f2937}
.sextant h1{font-size:1.5rem;margin:0 0 .5rem}
.sextant dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.5rem;margin:0}
.sextant dt{color:#6b7280}
.sextant dd{margin:0;overflow-wrap:anywhere}
"""
BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)


def with_facts(page: str, *, title: str, facts: Mapping[str, str]) -> str:
    """The page with a title and the facts on top; raises ValueError for a page without a body."""
    body = BODY.search(page)
    if body is None:
        raise ValueError("the report is not an HTML page: it has no body")
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    head = f'<style>{STYLE}</style><header class="sextant"><h1>{escape(title)}</h1><dl>{listed}</dl></header>'
    return f"{page[: body.end()]}{head}{page[body.end() :]}"
