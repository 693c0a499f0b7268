"""The Celery application, made when somebody asks for it: `celery -A workers.app:celery worker`."""

from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from celery.worker.consumer import Consumer
from kombu import Exchange, Queue
from kombu.transport import pyamqp, redis, virtual

from celeryconfig import AMQP_OPTIONS, REDIS_OPTIONS
from config import ConfigError
from config_checks import REDIS_SCHEMES

# The producer of the doorbell must give up at once: the sweep rings again for what it drops.
PRODUCER_SETTINGS: dict[str, Any] = {
    "task_publish_retry": False,
    "broker_pool_acquire_timeout": 1,
    "broker_connection_timeout": 1,
}
PRODUCER_OPTIONS = {"max_retries": 0, "interval_start": 0, "interval_step": 0}
PRODUCER_REDIS_OPTIONS = {**PRODUCER_OPTIONS, "socket_timeout": 1, "socket_connect_timeout": 0.5}
PRODUCER_AMQP_OPTIONS = {**PRODUCER_OPTIONS, "read_timeout": 1, "write_timeout": 1}
OWN_QUEUE_SECONDS = 600  # after which RabbitMQ drops one that nobody takes from


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


class AmqpsTransport(pyamqp.SSLTransport):
    """kombu's, which would take the trusted certificate of anybody."""

    def establish_connection(self) -> Any:
        """Only a certificate for the host of the address will do."""
        assert self.client is not None
        self.client.ssl = {"server_hostname": self.client.hostname}
        return super().establish_connection()  # type: ignore[no-untyped-call]


TRANSPORTS = {**dict.fromkeys(REDIS_SCHEMES, RedisTransport), "amqps": AmqpsTransport}


class WorkerConsumer(Consumer):  # type: ignore[misc]
    """Celery's, without what it keeps in RabbitMQ for tasks that wait: 28 queues and as many exchanges. No task of ours waits."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)


def create_celery(broker_url: str) -> Celery:
    """An application with the settings of celeryconfig.py and no tasks yet."""
    app = Celery("acuse", set_as_current=False)
    app.config_from_object("celeryconfig")
    app.conf.broker_url = broker_url
    app.conf.worker_consumer = f"{__name__}:{WorkerConsumer.__name__}"
    if transport := TRANSPORTS.get(urlsplit(broker_url).scheme):
        app.conf.broker_transport = f"{__name__}:{transport.__name__}"
    app.conf.broker_transport_options = dict(REDIS_OPTIONS if _is_redis(broker_url) else AMQP_OPTIONS)
    return app


def create_producer(broker_url: str) -> Celery:
    """An application that only rings, and gives up at once where the broker is away."""
    app = create_celery(broker_url)
    app.conf.update(PRODUCER_SETTINGS)
    options = PRODUCER_REDIS_OPTIONS if _is_redis(broker_url) else PRODUCER_AMQP_OPTIONS
    app.conf.broker_transport_options = app.conf.broker_transport_options | options
    return app


def make_own_queue(name: str) -> Queue:
    """A queue of one worker alone, without an exchange whose bindings would grow with every worker that ever was."""
    nowhere = Exchange("")  # type: ignore[no-untyped-call]
    return Queue(name, nowhere, routing_key=name, auto_delete=True, expires=OWN_QUEUE_SECONDS)  # type: ignore[no-untyped-call]


def consume_own_queue(app: Celery, name: str) -> None:
    """Have the worker of this application take from its own queue too, whatever it is told by `-Q`."""
    queue = app.amqp.queues.select_add(make_own_queue(name))
    queue.exchange = Exchange("")  # type: ignore[no-untyped-call] # instead of the default one, which it was given just now


def _is_redis(broker_url: str) -> bool:
    return urlsplit(broker_url).scheme in REDIS_SCHEMES


def __getattr__(name: str) -> Celery:
    if name != "celery":
        raise AttributeError(name)
    from bootstrap import build_celery  # noqa: PLC0415 - the composition root imports this module

    try:
        globals()[name] = build_celery()
    except ConfigError as error:
        raise SystemExit(f"acuse: {error}") from None
    return globals()[name]
