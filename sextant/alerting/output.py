"""Writes the configuration where Alertmanager reads it, whole or not at all, for its owner's eyes only."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from sextant.contracts.errors import Fatal

TEMPLATES = Path(__file__).resolve().parents[2] / "prometheus" / "alertmanager"


def as_text(configuration: dict[str, Any]) -> str:
    """JSON, which is YAML; Alertmanager's parser does not read JSON's surrogate pairs, hence no ASCII."""
    return json.dumps(configuration, indent=2, ensure_ascii=False) + "\n"


def write(configuration: dict[str, Any], path: Path, templates: Path = TEMPLATES) -> None:
    """Write the file (mode 0600) and its templates beside it; raises Fatal when the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for template in templates.glob("*.tmpl"):
            _replace(path.parent / template.name, template.read_text(encoding="utf-8"), mode=0o644)
        _replace(path, as_text(configuration), mode=0o600)
    except OSError as error:
        raise Fatal(f"could not write {path}: {error.strerror or error}") from None


def _replace(path: Path, text: str, *, mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")  # 0600 from its first byte
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
