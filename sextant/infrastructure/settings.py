"""The only reader of environment variables: one frozen Settings, validated when a process starts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sextant.contracts.errors import SettingsError

Port = Annotated[int, Field(ge=1, le=65535)]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
EmailAddress = Annotated[str, Field(pattern=r"^[\w.+-]+@[\w.-]+$")]
HostAndPort = Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$")]
SECRETS = frozenset({"mongodb_uri", "api_keys", "events_token", "prefect_api_auth_string"})
RateLimit = Annotated[str, Field(pattern=r"^[1-9]\d{0,8}/(second|minute|hour)$")]
MongoUri = Annotated[str, Field(pattern=r"^mongodb(\+srv)?://\S+$")]


class Settings(BaseSettings):
    """What an operator may set; each field is the environment variable of the same name in upper case."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    mongodb_uri: MongoUri = Field("mongodb://127.0.0.1:27017", description="Where events and reports are stored")
    mongodb_database: str = Field("sextant", pattern=r"^[A-Za-z0-9_-]{1,63}$", description="Database name")
    monitoring_url: HttpUrl = Field("http://127.0.0.1:8085", description="Where the relay sends live events")
    prediction_url: HttpUrl = Field("http://127.0.0.1:9696", description="Where send_data.py sends traffic")
    prefect_api_url: HttpUrl = Field("http://127.0.0.1:4200/api", description="The Prefect server's API")
    prefect_api_auth_string: SecretStr | None = Field(
        None,
        description="The Prefect server's user:password (default: made at first start, DATA_DIR/secrets/prefect)",
    )
    prometheus_url: HttpUrl = Field(
        "http://127.0.0.1:9091", description="Where the health summary gets its history"
    )
    grafana_url: HttpUrl = Field("http://127.0.0.1:3000", description="Where people open Grafana")
    prefect_url: HttpUrl = Field(
        "http://127.0.0.1:4200",
        description="Where people open Prefect; pages of other origins may not use its API",
    )
    live_page_url: HttpUrl = Field("http://127.0.0.1:8085", description="Where people open monitoring's live page")
    reports_url: HttpUrl = Field("http://127.0.0.1:8080", description="Where people open the HTML reports")

    data_dir: Path = Field(Path("data"), description="Folder of models, outbox, reports and logs")
    outbox_path: Path | None = Field(None, description="The outbox file (default: DATA_DIR/outbox/outbox.db)")
    outbox_max_bytes: int = Field(1 << 30, ge=1 << 16, description="Size in bytes at which /predict answers 503")
    max_record_bytes: int = Field(
        64 << 10,
        ge=1 << 10,
        le=2 << 20,  # MongoDB's BSON of it takes up to seven times as much, and no document beyond 16 MiB
        description="Size in bytes, as stored, beyond which a record or target is refused with 413",
    )
    monitoring_max_backlog: int = Field(
        50_000, ge=100, description="Events that monitoring may lag behind before the relay skips ahead"
    )

    default_model: str = Field("taxi", pattern=r"^[a-z][a-z0-9_-]*$", description="The model behind POST /predict")
    trusted_types: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated types, beyond those that skops knows, that a bundle's pipeline may load"
    )
    window_size: int = Field(1_000, ge=10, description="Rows in monitoring's sliding window of a model")
    window_seconds: float | None = Field(None, gt=0, le=1e9, description="Most seconds that it spans")
    window_min_rows: int = Field(200, ge=1, description="Rows before a window is evaluated")
    evaluate_every: float = Field(10.0, gt=0, description="Seconds between evaluations")
    multivariate_every: float = Field(
        60.0, gt=0, description="Seconds between evaluations of all features together"
    )
    false_alarm_rate: float = Field(
        0.01, gt=0, lt=0.5, description="Accepted share of evaluations that alarm although nothing drifted"
    )
    report_max_rows: int = Field(
        50_000, ge=100, description="Most rows that a report evaluates; of a longer window, a uniform sample"
    )
    report_every_hours: float = Field(1.0, gt=0, description="Hours between scheduled drift reports")
    import_dir: Path | None = Field(
        None, description="Folder from which Prefect may import targets (default: DATA_DIR/imports)"
    )
    retention_apply: bool = Field(
        False, description="Whether the nightly retention deletes; otherwise it lists what it would delete"
    )
    retention_days: float = Field(90.0, gt=0, description="Age in days at which the nightly retention deletes")
    retention_report_days: float = Field(
        365.0, ge=0, description="Age in days at which it deletes report pages; 0: never"
    )

    cpu_price_per_hour: float = Field(
        0.0, ge=0, description="Price of one CPU core per hour, in any currency; 0: cost is not shown"
    )

    alert_email_to: Annotated[tuple[EmailAddress, ...], NoDecode] = Field(
        (), description="Comma-separated addresses; if set, alerts are sent by e-mail"
    )
    alert_email_from: EmailAddress = Field("sextant@localhost.localdomain", description="Sender of those e-mails")
    alert_smtp: HostAndPort = Field("127.0.0.1:25", description="Mail server, host:port")
    alert_smtp_tls: bool = Field(True, description="Whether the mail server must speak TLS (STARTTLS)")
    alert_smtp_user: str = Field("", description="User name for the mail server; empty: no authentication")
    alert_smtp_password_file: Path | None = Field(None, description="File with the password for the mail server")
    alert_discord_webhook_file: Path | None = Field(
        None, description="File with a Discord webhook's URL; if set, alerts are sent to Discord"
    )
    alert_slack_webhook_file: Path | None = Field(
        None, description="File with a Slack webhook's URL; if set, alerts are sent to Slack"
    )
    alert_webhook_file: Path | None = Field(
        None, description="File with any webhook's URL; if set, alerts are posted there as Alertmanager's JSON"
    )

    api_keys: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Comma-separated keys with all scopes but admin, beside those of API_KEYS_FILE"
    )
    api_keys_file: Path | None = Field(
        None, description="File of keys with names and scopes (default: DATA_DIR/keys/keys.json, where it exists)"
    )
    metrics_token_file: Path | None = Field(
        None,
        description="File with Prometheus' own key, made at first start (default: DATA_DIR/secrets/metrics-token)",
    )
    rate_limit: RateLimit | None = Field(
        None, description="POST requests that a key, or an address without keys, may send, such as 600/minute"
    )
    allow_open: bool = Field(False, description="Whether services may listen beyond the loopback without keys")
    events_token: SecretStr | None = Field(
        None, description="Secret by which monitoring knows the relay; without it, that of EVENTS_TOKEN_FILE"
    )
    events_token_file: Path | None = Field(
        None,
        description="File with this secret, made at the first start (default: DATA_DIR/secrets/events-token)",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Log level")

    bind_host: str = Field("127.0.0.1", description="Address that the services listen on")
    publish_host: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated addresses on which Docker publishes the ports, if it does"
    )
    prediction_workers: int = Field(3, ge=1, le=64, description="Worker processes of the prediction service")
    prediction_port: Port = Field(9696, description="Prediction service")
    relay_port: Port = Field(9697, description="Relay metrics")
    monitoring_port: Port = Field(8085, description="Monitoring service")
    mongodb_port: Port = Field(27017, description="Embedded MongoDB stand-in (local only)")
    prometheus_port: Port = Field(9091, description="Prometheus (local only)")
    alertmanager_port: Port = Field(9093, description="Alertmanager (local only)")
    grafana_port: Port = Field(3000, description="Grafana (local only)")
    node_exporter_port: Port = Field(9100, description="Prometheus' node exporter (local only)")
    prefect_port: Port = Field(4200, description="Prefect server (local only)")
    reports_port: Port = Field(8080, description="Reports over HTTP")

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not (keys := frozenset(_parts(value))):
            raise ValueError("there is no key between the commas; leave it empty to require none")
        return keys

    @field_validator("alert_email_to", "publish_host", "trusted_types", mode="before")
    @classmethod
    def _split_texts(cls, value: object) -> object:
        return _parts(value) if isinstance(value, str) else value

    @property
    def models_dir(self) -> Path:
        """Folder of the model bundles."""
        return self.data_dir / "models"

    @property
    def reports_dir(self) -> Path:
        """Folder of the HTML reports."""
        return self.data_dir / "reports"

    @property
    def outbox_file(self) -> Path:
        """The outbox's SQLite file."""
        return self.outbox_path or self.data_dir / "outbox" / "outbox.db"

    @property
    def events_token_path(self) -> Path:
        """The file of the secret that the relay and monitoring share."""
        return self.events_token_file or self.data_dir / "secrets" / "events-token"

    @property
    def keys_file(self) -> Path:
        """The file of the API keys."""
        return self.api_keys_file or self.data_dir / "keys" / "keys.json"

    @property
    def metrics_token_path(self) -> Path:
        """The file of the key with which Prometheus reads metrics."""
        return self.metrics_token_file or self.data_dir / "secrets" / "metrics-token"

    @property
    def imports_folder(self) -> Path:
        """Folder from which Prefect may import targets."""
        return self.import_dir or self.data_dir / "imports"

    @property
    def prefect_secret_file(self) -> Path:
        """Where the Prefect server's user and password are kept, unless the operator has set them."""
        return self.data_dir / "secrets" / "prefect"


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment; raises SettingsError with one line that names every wrong variable."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "; ".join(_told(dict(found)) for found in error.errors())
        raise SettingsError(f"invalid settings: {wrong}") from None


def _told(error: Mapping[str, Any]) -> str:
    """Which variable is wrong and why; a value that may hold a password is never shown."""
    name = str(error["loc"][0])
    shown = "" if name in SECRETS else f", got {error['input']!r}"
    return f"{'.'.join(map(str, error['loc'])).upper()}: {error['msg']}{shown}"


TELEMETRY_OFF = {"ORT_DISABLE_TELEMETRY": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


def multiprocess_dir() -> str | None:
    """Where gunicorn's workers share their metrics, if they do; prometheus_client reads the same variable."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")


def child_environment(**changes: str) -> dict[str, str]:
    """This process's environment with changes, for a program that it starts or becomes."""
    return {**os.environ, **changes}


def set_environment_defaults(**variables: str) -> None:
    """Set variables that a library reads when it is imported, unless the operator has; empty counts as unset."""
    for name, value in variables.items():
        os.environ[name] = os.environ.get(name) or value


def forbid_telemetry() -> None:
    """Keep libraries from reporting home; to be called before onnxruntime is first imported.

    onnxruntime 1.31 otherwise sends events to its maker from Linux too (its Privacy.md), and the request path
    touches no network.
    """
    os.environ.update(TELEMETRY_OFF)
