"""How gunicorn runs the monitoring service: one process, since the windows are in its memory, with threads."""

from sextant.infrastructure.logs import take_over_gunicorn_log
from sextant.infrastructure.parent import end_with_parent
from sextant.infrastructure.settings import load_settings

_settings = load_settings()

wsgi_app = "monitoring_service.wsgi:application()"
bind = f"{_settings.bind_host}:{_settings.monitoring_port}"
workers = 1
worker_class = "sextant.infrastructure.buffering_worker.BufferingWorker"
threads = 8
worker_connections = 500
sendfile = False  # responses go through the worker's memory
timeout = 120  # the worker answers while it evaluates; only a process that hangs is killed
graceful_timeout = 5
proc_name = "sextant-monitoring"
accesslog = None
control_socket_disable = True


def on_starting(server):  # type: ignore[no-untyped-def]  # noqa: D103, ARG001 - gunicorn's hook
    take_over_gunicorn_log("monitoring", _settings.log_level)


def post_fork(server, worker):  # type: ignore[no-untyped-def]  # noqa: D103, ARG001 - gunicorn's hook
    end_with_parent(worker.ppid)  # a busy worker would not notice that its master was killed
