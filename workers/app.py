"""The Celery application, made when somebody asks for it: `celery -A workers.app:celery worker`."""

from celery import Celery

from config import ConfigError


def create_celery(broker_url: str) -> Celery:
    """An application with the settings of celeryconfig.py and no tasks yet."""
    app = Celery("acuse", set_as_current=False)
    app.config_from_object("celeryconfig")
    app.conf.broker_url = broker_url
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
