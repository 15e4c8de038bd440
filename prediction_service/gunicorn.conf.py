"""How gunicorn runs the prediction service; `python -m prediction_service` starts it with what it needs."""

from prometheus_client import multiprocess

from prediction_service.metrics_folder import remove_metrics_folder
from sextant.infrastructure.logs import take_over_gunicorn_log
from sextant.infrastructure.parent import end_with_parent
from sextant.infrastructure.settings import load_settings

_settings = load_settings()

wsgi_app = "prediction_service.wsgi:application()"
bind = f"{_settings.bind_host}:{_settings.prediction_port}"
workers = _settings.prediction_workers
worker_class = "sextant.infrastructure.buffering_worker.BufferingWorker"
threads = 1  # more would compete for two locks: Python's and the outbox's
worker_connections = 500
forwarded_allow_ips = ""  # no header changes what the service sees of a client
sendfile = False  # responses go through the worker's memory
timeout = 30
graceful_timeout = 20
proc_name = "sextant-prediction"
accesslog = None
control_socket_disable = True


def on_starting(server):  # type: ignore[no-untyped-def]  # noqa: D103, ARG001 - gunicorn's hook
    take_over_gunicorn_log("prediction", _settings.log_level)


def post_fork(server, worker):  # type: ignore[no-untyped-def]  # noqa: D103, ARG001 - gunicorn's hook
    end_with_parent(worker.ppid)  # a busy worker would not notice that its master was killed


def on_exit(server):  # type: ignore[no-untyped-def]  # noqa: D103, ARG001 - gunicorn's hook
    remove_metrics_folder()


def child_exit(server, worker):  # type: ignore[no-untyped-def]  # noqa: D103, ARG001 - gunicorn's hook
    multiprocess.mark_process_dead(worker.pid)
