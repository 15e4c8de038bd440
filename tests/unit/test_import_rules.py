"""Import rules that import-linter cannot keep: those of the root scripts, and who reads the environment."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = {"contracts", "models", "prediction_service", "evaluation", "monitoring_service", "batch_flows", "local"}


def imported_packages(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_root_scripts_import_only_contracts_and_models():
    for script in ("prepare.py", "send_data.py"):
        assert imported_packages(ROOT / script) & OURS <= {"contracts", "models"}, script


def test_only_settings_reads_the_environment():
    readers = set()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "putenv"}:
                    readers.add(str(path.relative_to(ROOT)))
    assert readers == {"contracts/settings.py"}
