"""A clock for the sandbox that runs fast and can be put forward, shared by all its processes through a small file."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class SandboxClock:
    """Time that begins where it is told and runs `rate` times as fast; `advance` puts it forward for every process.

    The file outlives every process, so that a bot that was killed comes back to the same time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._real = self._base = self._rate = 0.0

    @classmethod
    def create(cls, path: Path, rate: float = 1.0, begins: datetime | None = None) -> "SandboxClock":
        """A new one, which begins at the real time unless told otherwise."""
        clock, real = cls(path), time.time()
        clock._write(real, begins.timestamp() if begins else real, rate)
        return clock

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._seconds(), UTC)

    def cautious_now(self) -> datetime:
        return self.now()

    def steady(self) -> float:
        return time.monotonic()

    @property
    def rate(self) -> float:
        """Sandbox seconds per real second."""
        self._refresh()
        return self._rate

    def real_seconds(self, span: timedelta) -> float:
        """How many real seconds that span of sandbox time takes."""
        return span.total_seconds() / self.rate

    def advance(self, span: timedelta) -> None:
        """Put the clock forward; never back."""
        if span < timedelta():
            raise ValueError("a sandbox clock is never put back")
        self._refresh()
        self._write(self._real, self._base + span.total_seconds(), self._rate)

    def _seconds(self) -> float:
        self._refresh()
        return self._base + (time.time() - self._real) * self._rate

    def _refresh(self) -> None:
        stat = self._path.stat()
        seen = (stat.st_mtime_ns, stat.st_ino)
        if seen != self._seen:
            state = json.loads(self._path.read_text())
            self._real, self._base, self._rate = state["real"], state["base"], state["rate"]
            self._seen = seen

    def _write(self, real: float, base: float, rate: float) -> None:
        new = self._path.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps({"real": real, "base": base, "rate": rate}))
        new.replace(self._path)
