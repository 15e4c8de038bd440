"""Fixtures of the flows' commands: a store that answers, and no Prefect server in sight."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from sextant.infrastructure.event_store import EventStore
from tests.processes import Services, free_port


@pytest.fixture
def store(services: Services) -> Iterator[EventStore]:
    """A store that answers."""
    services.mongo().start()
    with closing(EventStore.connect(services.mongodb_uri, "sextant")) as store:
        store.ensure_indexes()
        yield store


@pytest.fixture(scope="module")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A server for all tests of a file."""
    services = Services(tmp_path_factory.mktemp("mongo"))
    services.mongo().start()
    yield services
    services.stop_all()


@pytest.fixture
def event_store(mongo_server: Services, request: pytest.FixtureRequest) -> Iterator[EventStore]:
    """A store with a database of its own on that server."""
    database = f"t{abs(hash(request.node.name)) % 10**9}"
    with closing(EventStore.connect(mongo_server.mongodb_uri, database)) as store:
        store.ensure_indexes()
        yield store


@pytest.fixture
def environment(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The services' environment, here too, and everything that a command sets restored after the test."""
    nobody = {
        "PROMETHEUS_URL": f"http://127.0.0.1:{free_port()}",
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
    }
    prefect = {
        "PREFECT_HOME": str(services.folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }
    for name, value in (services.environment | nobody | prefect).items():
        monkeypatch.setenv(name, value)
