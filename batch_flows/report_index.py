"""The index of all reports: one page over the summaries that lie beside them."""

from pathlib import Path


def write_index(reports_dir: Path) -> None:
    """Write index.html anew from the summaries in the folder; raises Retryable if the disk refuses it."""
