"""How every process writes its log."""

import logging
from typing import Literal, TextIO

import structlog


def configure_logging(
    log_format: Literal["json", "console"], out: TextIO | None = None, least: int = logging.INFO
) -> None:
    """Ids and event names, as JSON lines or for a console, to standard output unless another is given."""
    last = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
