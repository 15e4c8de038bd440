"""Import rules that import-linter cannot keep: those of the root scripts, and who reads the environment."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("sextant", "prediction_service", "monitoring_service", "batch_flows", "grafana")
SCRIPTS_MAY = tuple(
    f"sextant.{room}" for room in ("contracts", "infrastructure", "use_cases", "training", "traffic")
)


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_root_scripts_import_nothing_of_a_service():
    for script in ("prepare.py", "send_data.py"):
        ours = {name for name in imported_modules(ROOT / script) if name.startswith(OURS)}
        assert ours, script
        assert all(name.startswith(SCRIPTS_MAY) for name in ours), (script, ours)


def test_whoever_installs_sextant_without_extras_has_what_contracts_and_infrastructure_import():
    paths = [path for room in ("contracts", "infrastructure") for path in (ROOT / "sextant" / room).glob("*.py")]
    imported = {name.split(".")[0] for path in paths for name in imported_modules(path)}
    theirs = imported - sys.stdlib_module_names - {"sextant"} - {"bson"}  # which is pymongo's
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = {re.match(r"[\w-]+", line)[0].replace("-", "_") for line in project["dependencies"]}
    of_the_http_services = {"flask", "werkzeug", "gunicorn"}
    assert theirs == (installed - {"numpy"}) | of_the_http_services
    for extra in ("prediction", "monitoring"):
        lines = project["optional-dependencies"][extra]
        assert all(any(line.startswith(name) for line in lines) for name in ("flask", "gunicorn"))


def test_only_settings_reads_the_environment():
    readers = set()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and ast.unparse(node) in {
                    "os.environ",
                    "os.getenv",
                    "os.putenv",
                }:
                    readers.add(str(path.relative_to(ROOT)))
    assert readers == {"sextant/infrastructure/settings.py"}


READERS = {
    "load_settings",
    "open",
    "read_text",
    "read_bytes",
    "exists",
    "is_file",
    "glob",
    "connect",
    "create_app",
    "now",
}


def test_importing_a_module_defines_and_does_nothing_else():
    does: set[str] = set()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            statements = ast.parse(path.read_text()).body
            if any(isinstance(statement, ast.Expr) and calls(statement) for statement in statements):
                does.add(str(path.relative_to(ROOT)))
            if any(isinstance(statement, ast.Assign) and calls(statement) & READERS for statement in statements):
                does.add(str(path.relative_to(ROOT)))
    of_gunicorn = {f"{service}/gunicorn.conf.py" for service in ("prediction_service", "monitoring_service")}
    assert does - of_gunicorn == set()


def calls(statement: ast.stmt) -> set[str]:
    called = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in called}
