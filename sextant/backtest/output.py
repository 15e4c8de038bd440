"""Where a backtest's result goes beside the terminal: a file whose ending says in which form."""

from pathlib import Path

from sextant.backtest.page import as_html
from sextant.backtest.replay import BacktestResult
from sextant.backtest.summary import BacktestSummary
from sextant.backtest.table import as_csv
from sextant.contracts.errors import Fatal


def write(path: Path, result: BacktestResult, summary: BacktestSummary) -> None:
    """Write CSV or HTML in UTF-8; raises Fatal when the disk refuses it."""
    page = as_csv(result) if path.suffix.lower() == ".csv" else as_html(result, summary)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Fatal(f"could not write {path}: {error.strerror or error}") from None
