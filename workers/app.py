"""The Celery application, made when somebody asks for it: `celery -A workers.app:celery worker`."""

from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu.transport import redis, virtual

from config import ConfigError
from config_checks import REDIS_SCHEMES

# The producer of the doorbell must give up at once: the sweep rings again for what it drops.
PRODUCER_SETTINGS: dict[str, Any] = {
    "task_publish_retry": False,
    "broker_pool_acquire_timeout": 1,
    "broker_connection_timeout": 1,
}
PRODUCER_TRANSPORT = {
    "socket_timeout": 1,
    "socket_connect_timeout": 0.5,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "confirm_publish": True,
}


class _Qos(redis.QoS):
    """Counts a message as done with even where Redis cannot be told so."""

    def ack(self, delivery_tag: str) -> None:
        """What is not counted here for good takes up the worker's one place for it: a worker whose places are all taken
        never asks for another message, so it never learns that its connection is gone. The sweep rings again."""
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except self.channel.connection_errors:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise


class _Channel(redis.Channel):
    QoS = _Qos


class RedisTransport(redis.Transport):
    """kombu's, whose workers come back however they lost Redis."""

    Channel = _Channel


def create_celery(broker_url: str) -> Celery:
    """An application with the settings of celeryconfig.py and no tasks yet."""
    app = Celery("acuse", set_as_current=False)
    app.config_from_object("celeryconfig")
    app.conf.broker_url = broker_url
    if urlsplit(broker_url).scheme in REDIS_SCHEMES:
        app.conf.broker_transport = f"{__name__}:{RedisTransport.__name__}"
    return app


def create_producer(broker_url: str) -> Celery:
    """An application that only rings, and gives up at once where the broker is away."""
    app = create_celery(broker_url)
    app.conf.update(PRODUCER_SETTINGS)
    app.conf.broker_transport_options = app.conf.broker_transport_options | PRODUCER_TRANSPORT
    return app


def __getattr__(name: str) -> Celery:
    if name != "celery":
        raise AttributeError(name)
    from bootstrap import build_celery  # noqa: PLC0415 - the composition root imports this module

    try:
        globals()[name] = build_celery()
    except ConfigError as error:
        raise SystemExit(f"acuse: {error}") from None
    return globals()[name]
