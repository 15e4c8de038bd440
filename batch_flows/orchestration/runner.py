"""Prefect's runner of what is due, made to stop cleanly and to take up models that are published while it runs."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner

CONCURRENT_RUNS = 2
LOOK_AGAIN_SECONDS = 15.0

Plan = Callable[[], Sequence[RunnerDeployment]]
"""What is to be served as things stand now."""

log = structlog.get_logger(__name__)


class CleanRunner(Runner):
    """Stops on SIGTERM as it does on Ctrl-C; Prefect 3.8 leaves before its schedules are paused."""

    def handle_sigterm(self, *_args: Any, **_kwargs: Any) -> None:
        """Let asyncio cancel what runs and wait for it."""
        signal.raise_signal(signal.SIGINT)


def serve_until_stopped(plan: Plan) -> None:
    """What prefect.serve does; raises KeyboardInterrupt when stopped, and whatever the lost server causes."""
    asyncio.run(_serve(plan))


async def _serve(plan: Plan) -> None:
    runner = CleanRunner(limit=CONCURRENT_RUNS)
    served: set[str] = set()
    await _take_up(runner, plan, served)
    following = asyncio.create_task(_follow(runner, plan, served))
    try:
        await runner.start()
    finally:
        following.cancel()


async def _follow(runner: Runner, plan: Plan, served: set[str]) -> None:
    """The runner asks the server at each poll for all the deployments that it knows by then."""
    while True:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        try:
            await _take_up(runner, plan, served)
        except Exception as error:  # noqa: BLE001  a lost server ends the runner itself, which begins again
            log.warning("a new deployment is delayed", reason=f"{type(error).__name__}: {error}"[:300])


async def _take_up(runner: Runner, plan: Plan, served: set[str]) -> None:
    new = [deployment for deployment in plan() if deployment.full_name not in served]
    for deployment in new:
        # Unless it is said, Prefect leaves a deployment in the work pool that it was in before.
        deployment.work_pool_name = deployment.work_queue_name = None
        await runner.aadd_deployment(deployment)
        served.add(deployment.full_name)
    if new:
        log.info("serving", deployments=[deployment.full_name for deployment in new])
