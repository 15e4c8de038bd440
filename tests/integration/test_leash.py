"""What tests start ends with them, even if they are killed."""

import subprocess
import sys

from tests.leash import marked
from tests.processes import ROOT, wait_until

TESTS = """
import subprocess, time
from tests.leash import leash
with leash() as mark:
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    print(mark, flush=True)
    time.sleep(600)
"""


def test_what_killed_tests_had_started_ends_too() -> None:
    with subprocess.Popen([sys.executable, "-c", TESTS], cwd=ROOT, stdout=subprocess.PIPE, text=True) as tests:
        try:
            mark = tests.stdout.readline().strip()
            # For a moment after its start a program shows no environment.
            wait_until(lambda: list(marked(mark).values()) == ["sleep 600 "], "the program to be seen")
        finally:
            tests.kill()
    wait_until(lambda: not marked(mark), "the program to end", 10)
