"""`python -m batch_flows.reports`: the index of all reports, made anew."""

import sys

from batch_flows.reports.index import INDEX, write_index
from sextant.contracts.errors import SextantError
from sextant.infrastructure.settings import load_settings


def main() -> int:
    """Make the index anew; 2 and one line when that cannot be done."""
    try:
        reports_dir = load_settings().reports_dir
        write_index(reports_dir)
    except SextantError as error:
        sys.stderr.write(f"reports: {error}\n")
        return 2
    sys.stdout.write(f"reports: {reports_dir / INDEX}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
