"""The Celery application, made when somebody asks for it: `celery -A workers.app:celery worker`."""

from celery import Celery


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

    globals()[name] = build_celery()
    return globals()[name]
