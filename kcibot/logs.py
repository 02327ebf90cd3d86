"""Logs: one line of JSON or text an event on standard error, with every secret masked by its value."""

import logging
import sys
import threading
from types import TracebackType

from kcibot.core.redact import Redactor


def set_up(redactor: Redactor, level: str = "INFO") -> None:
    """Send everything that is logged, by the bot or by a library, through one redacting renderer."""
    import structlog  # noqa: PLC0415 (not needed to answer --help)

    def redact(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {str(key): redactor.value(value) for key, value in event.items()}

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=False) if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, render],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("urllib3", "docker", "git", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Through the redacting renderer too: Python itself would print the error's text as it is."""
    logging.getLogger(__name__).critical("uncaught error", exc_info=(kind, error, trace))


def _uncaught_in_thread(story: threading.ExceptHookArgs) -> None:
    name = story.thread.name if story.thread else "a thread"
    if story.exc_value is not None:
        trace = (story.exc_type, story.exc_value, story.exc_traceback)
        logging.getLogger(__name__).critical("%s has ended with an uncaught error", name, exc_info=trace)
