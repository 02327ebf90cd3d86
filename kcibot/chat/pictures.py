"""Pictures as files, for networks that take them: drawn by a short-lived process, which keeps the bot itself small."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from kcibot.core.notice import Picture

log = logging.getLogger(__name__)

LONGEST = timedelta(seconds=60)
"""The very first picture takes the longest: the library lists the machine's fonts then."""
NO_PICTURE = b""
DRAWER = ("-P", "-m", "kcibot.chat.draw_picture")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "KCIBOT_CHILD_OF")
"""Of the bot's environment the drawer sees nothing else: secrets may be in it. The last one names its bot."""
_FIXED = {"MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"}


def drawn_as_png(
    picture: Picture, cache: Path, longest: timedelta = LONGEST, drawer: tuple[str, ...] = DRAWER
) -> bytes:
    """The picture as the content of a PNG file, or NO_PICTURE if it cannot be drawn; the log says why then.

    What cannot be drawn is shown as sparklines: never is a message held up for its picture longer than `longest`.
    `cache` is where the library keeps its list of fonts. `drawer` is what Python is started with.
    """
    if not any(series.points for chart in picture.charts for series in chart.series):
        return NO_PICTURE
    try:
        done = _drawer_run(picture, cache, longest, drawer)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("“%s” was not drawn: %s", picture.title, error)
        return NO_PICTURE
    if done.returncode or not done.stdout.startswith(_SIGNATURE):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        log.warning("“%s” was not drawn: exit code %s, %s", picture.title, done.returncode, said[-1:] or "nothing said")
        return NO_PICTURE
    return done.stdout


def _drawer_run(
    picture: Picture, cache: Path, longest: timedelta, drawer: tuple[str, ...]
) -> "subprocess.CompletedProcess[bytes]":
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    cache.mkdir(parents=True, exist_ok=True)
    return subprocess.run(  # noqa: S603 (our own interpreter and module; everything of others' goes through stdin)
        (sys.executable, *drawer),
        input=json.dumps(asdict(picture)).encode(),
        capture_output=True,
        timeout=longest.total_seconds(),
        env={**kept, **_FIXED, "MPLCONFIGDIR": str(cache)},
        check=False,
    )
