"""Ticks. APScheduler only says when to look; what is due stands in the journal: a missed tick costs delay at most."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


class Ticker:
    """Calls `tick` again and again, never twice at a time, until stopped."""

    def __init__(self, tick: Callable[[], None], seconds: float) -> None:
        from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415 (vendors are loaded late)

        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._tick = tick
        self._scheduler.add_job(
            self._guarded, "interval", seconds=seconds, coalesce=True, max_instances=1, misfire_grace_time=None
        )

    def start(self) -> None:
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of every tick that the last one outlasts
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)

    def _guarded(self) -> None:
        try:
            self._tick()
        except Exception:
            log.exception("a tick failed; the next one looks again")
