"""The one folder from which a deployment imports, and where it puts the rows that it rejects."""

from pathlib import Path

from sextant.contracts.errors import Rejected, Retryable
from sextant.infrastructure.settings import Settings


def path_in_folder(folder: Path, path: Path) -> Path:
    """The real path of a file in the folder; raises Rejected for any other, whether there is one or not."""
    elsewhere = f"{path} is not a file in {folder} (IMPORT_DIR), from where targets are imported"
    try:
        root = folder.resolve()
        real = (root / path).resolve()  # follows links, and drops the root for an absolute path
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a null byte
        raise Rejected(elsewhere) from None
    if not real.is_relative_to(root) or not real.is_file():
        raise Rejected(elsewhere)
    return real


def rejects_of(settings: Settings, path: Path) -> Path:
    """DATA_DIR/staging/NAME.rejected.csv: the folder of imports may be for reading only; raises Retryable."""
    folder = settings.data_dir.resolve() / "staging"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Retryable(f"cannot create the folder {folder}: {error.strerror}") from None
    return folder / f"{path.name}.rejected.csv"
