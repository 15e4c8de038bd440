"""A report on disk: its page, its summary as JSON beside it, and the scripts that pages share in assets/."""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import orjson

from batch_flows.reports.record import ReportRecord
from sextant.contracts import files
from sextant.contracts.errors import Retryable

ASSETS = "assets"
EVIDENTLY_SCRIPT = "evidently/nbextension/static/index.js"  # what Evidently puts into each page


def write_page(reports_dir: Path, record: ReportRecord, html: str) -> None:
    """Write page and summary, each whole or not at all; raises Retryable if the disk refuses one."""
    page = reports_dir / record.html
    write_text(page, share_scripts(html, reports_dir))
    summary = orjson.dumps(record.document(), option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    write_text(page.with_suffix(".json"), summary.decode())


def write_text(path: Path, text: str) -> None:
    """Write the file, whole or not at all; raises Retryable if the disk refuses it."""
    try:
        files.write_atomically(path, text)
    except OSError as error:
        raise Retryable(f"could not write {path}: {error.strerror or error}") from error


def share_scripts(html: str, reports_dir: Path) -> str:
    """The page with Evidently's script replaced by a reference to the one copy in assets/.

    A page that does not hold exactly that script stays as it is. Raises Retryable if the disk refuses the copy.
    """
    script = _evidently_script()
    inline = f"<script>{script}</script>"
    if not script or inline not in html:
        return html
    digest = hashlib.sha256(script.encode()).hexdigest()[:12]
    path = _ensure_asset(reports_dir, f"evidently-{version('evidently')}-{digest}.js", script)
    return html.replace(inline, _reference(path), 1)


def ensure_plotly(reports_dir: Path) -> str:
    """The path of plotly.js relative to the reports folder, where it lies from now on; raises Retryable."""
    name = f"plotly-{version('plotly')}.min.js"
    if (reports_dir / ASSETS / name).is_file():
        return f"{ASSETS}/{name}"
    from plotly.offline import get_plotlyjs

    return _ensure_asset(reports_dir, name, get_plotlyjs())


def _ensure_asset(reports_dir: Path, name: str, text: str) -> str:
    """The name says what is in the file, and files appear whole, so one that is there is never written again."""
    path = reports_dir / ASSETS / name
    if not path.is_file():
        write_text(path, text)
    return f"{ASSETS}/{name}"


def _evidently_script() -> str:
    """Read from the installed files, because importing Evidently takes seconds; "" where there is none."""
    try:
        return Path(str(distribution("evidently").locate_file(EVIDENTLY_SCRIPT))).read_text(encoding="utf-8")
    except (PackageNotFoundError, OSError):
        return ""


def _reference(path: str) -> str:
    """A page that was sent without the folder says what its plots lack."""
    missing = f"The plots are missing: this page needs the file {path} beside it."
    return f'<script src="{path}" onerror="document.body.append(\'{missing}\')"></script>'
