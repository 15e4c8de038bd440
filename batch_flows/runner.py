"""Prefect's runner of what is due, made to stop cleanly."""

import asyncio
import signal
from collections.abc import Sequence
from typing import Any

from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner

CONCURRENT_RUNS = 2


class CleanRunner(Runner):
    """Stops on SIGTERM as it does on Ctrl-C; Prefect 3.8 leaves before its schedules are paused."""

    def handle_sigterm(self, *_args: Any, **_kwargs: Any) -> None:
        """Let asyncio cancel what runs and wait for it."""
        signal.raise_signal(signal.SIGINT)


def serve_until_stopped(planned: Sequence[RunnerDeployment]) -> None:
    """What prefect.serve does; raises KeyboardInterrupt when stopped, and whatever the lost server causes."""
    runner = CleanRunner(limit=CONCURRENT_RUNS)
    for deployment in planned:
        runner.add_deployment(deployment)
    asyncio.run(runner.start())
