"""Writes the configuration where Alertmanager reads it, whole or not at all, for its owner's eyes only."""

import json
from pathlib import Path
from typing import Any

from sextant.contracts.errors import Fatal
from sextant.contracts.files import write_atomically

TEMPLATES = Path(__file__).resolve().parents[2] / "prometheus" / "alertmanager"


def as_text(configuration: dict[str, Any]) -> str:
    """JSON, which is YAML; Alertmanager's parser does not read JSON's surrogate pairs, hence no ASCII."""
    return json.dumps(configuration, indent=2, ensure_ascii=False) + "\n"


def write(configuration: dict[str, Any], path: Path, templates: Path = TEMPLATES) -> None:
    """Write the file (mode 0600) and its templates beside it; raises Fatal when the disk refuses."""
    try:
        for template in templates.glob("*.tmpl"):
            write_atomically(path.parent / template.name, template.read_bytes())
        write_atomically(path, as_text(configuration), mode=0o600)
    except OSError as error:
        raise Fatal(f"could not write {path}: {error.strerror or error}") from None
