"""The flows' interface to Prefect: client settings, and steps that are tasks when a server records them."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.tasks import Task, exponential_backoff

from sextant.contracts.errors import Rejected, Retryable
from sextant.contracts.model_bundle import ModelBundle, load_bundle
from sextant.infrastructure.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 3
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Of a model or a version: no path that leads out of the folder of models."""


def step(*, name: str, minutes: float, tags: tuple[str, ...] = ()) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A Prefect task within a flow run, retried when it raises Retryable; a plain function elsewhere.

    Prefect cannot run a task without a server, and starting a temporary one takes longer than the report.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        recorded: Task[P, R] = task(
            name=name,
            task_run_name=name,  # Prefect would add a few hex digits
            tags=set(tags),
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(2),
            retry_jitter_factor=0.5,
            retry_condition_fn=_failed_for_now,
            timeout_seconds=minutes * 60,
            cache_policy=NO_CACHE,  # the window's rows change while it is open
            persist_result=False,
        )(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return recorded(*args, **kwargs) if is_recorded() else function(*args, **kwargs)

        return call

    return decorate


def is_recorded() -> bool:
    """Whether a Prefect server follows what runs now."""
    return FlowRunContext.get() is not None


def run_logger() -> "logging.Logger | logging.LoggerAdapter[Any]":
    """The flow run's log, which people read in Prefect's UI; without a run, the process's own."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("batch_flows")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log how long the block took, for those who ask where a run's time goes."""
    began = time.perf_counter()
    yield
    run_logger().info("%s took %.2f s", what, time.perf_counter() - began)


def in_one_line(error: Exception) -> str:
    """What another library's error says, as part of a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _failed_for_now(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), Retryable)


@step(name="Load model bundle", minutes=5)
def read_bundle(settings: Settings, model: str, version: str | None) -> ModelBundle:
    """The model's live version, or the one asked for; verified. Raises Rejected for what can be no name."""
    if not all(re.fullmatch(NAME, part) for part in (model, version or model)):
        raise Rejected(f"there is no model {model!r}" + (f" with a version {version!r}" if version else ""))
    return load_bundle(settings.models_dir, model, version)
