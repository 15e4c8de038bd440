"""The scripts that report pages share: one copy in the reports folder's assets/, not one in each page."""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from batch_flows.reports.html_file import write_atomically

ASSETS = "assets"
EVIDENTLY_SCRIPT = "evidently/nbextension/static/index.js"  # what Evidently puts into each page


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
        write_atomically(path, text)
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
