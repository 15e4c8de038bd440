"""A report on disk: its page, its summary as JSON beside it, and the index of all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from batch_flows.reports.assets import share_scripts
from batch_flows.reports.html_file import write_atomically
from batch_flows.reports.index import write_index


def write_report_files(reports_dir: Path, document: Mapping[str, Any], html: str) -> None:
    """Write page, summary and index, each whole or not at all; raises Retryable if the disk refuses one.

    `document` is the report as MongoDB holds it; the summary is the same, with times as ISO 8601 text.
    """
    page = reports_dir / str(document["html"])
    write_atomically(page, share_scripts(html, reports_dir))
    summary = orjson.dumps(dict(document), option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    write_atomically(page.with_suffix(".json"), summary.decode())
    write_index(reports_dir)
