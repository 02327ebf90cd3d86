"""What the engine stand-in can tell a checker about its work, and how it can be told to misbehave."""

import re
import threading
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Built:
    """One build that succeeded. `base` is the name in its last FROM line, `base_id` what that was."""

    name: str
    image_id: str
    base: str
    base_id: str
    no_cache: bool
    started: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Pushed:
    """One push that the engine called successful."""

    name: str
    image_id: str
    digest: str
    at: datetime


class TroubleKind(StrEnum):
    """How the engine misbehaves.

    BUILD_ERROR fails at the step that matches; BUILD_CUT loses the connection in the middle of a build; BUILD_STALL
    falls silent there. PUSH_ERROR ends the stream with an error and pushes nothing; PUSH_LIE says success and pushes
    nothing; PUSH_CUT pushes and loses the connection before it says so; PUSH_STALL pushes nothing and falls silent.
    PULL_ERROR has an error inside the stream and leaves the old local image; PULL_LIE says success without asking the
    registry.
    """

    BUILD_ERROR = "build-error"
    BUILD_CUT = "build-cut"
    BUILD_STALL = "build-stall"
    PUSH_ERROR = "push-error"
    PUSH_LIE = "push-lie"
    PUSH_CUT = "push-cut"
    PUSH_STALL = "push-stall"
    PULL_ERROR = "pull-error"
    PULL_LIE = "pull-lie"


@dataclass(slots=True)
class Trouble:
    """Goes off the next `times` times that `pattern` is found: in a step for BUILD_ERROR, else in the image's name."""

    kind: TroubleKind
    pattern: str = ""
    text: str = "received unexpected HTTP status: 500 Internal Server Error"
    times: int = 1


class Troubles:
    """The troubles still to come, in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._troubles: list[Trouble] = []

    def add(self, trouble: Trouble) -> None:
        with self._lock:
            self._troubles.append(trouble)

    def take(self, kind: TroubleKind, text: str) -> Trouble | None:
        """The next trouble of that kind for this step or name, which is thereby one time less."""
        with self._lock:
            for trouble in self._troubles:
                if trouble.kind is kind and re.search(trouble.pattern, text):
                    trouble.times -= 1
                    if trouble.times <= 0:
                        self._troubles.remove(trouble)
                    return trouble
        return None
