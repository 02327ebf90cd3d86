"""A Jenkins under test, as the recordings and the adapter's tests use it: the stand-in, or a real server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import requests

from kcibot.services.jenkins.adapter import JenkinsServer
from tests.contract.jenkins.names import Names

Found = TypeVar("Found")

LONGEST_WAIT = 40.0
"""Seconds. A start takes up to ten: the quiet period, and the steps of five in which the queue is looked at."""


class NoAnswer(Exception):
    """The server did not answer. Says nothing of the request, which holds the token."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a build does: it takes as many seconds as its parameter SECS and its own `seconds`, logs `lines` lines,
    archives `out.txt` if it has an `artifact`, and ends well, UNSTABLE, or as FAILURE when its VERSION is `bad`.
    """

    seconds: float = 0.02
    lines: int = 0
    artifact: str = ""
    unstable: bool = False


class Subject(Protocol):
    """Names of jobs are those of the test; the server may know them with a prefix, which `names` knows.

    `patience` and `step` are seconds: how long an answer that depends on time may be late, and between two looks.
    """

    url: str
    names: Names
    patience: float
    step: float

    # ---- asking ----

    def login(self, kind: str, user: str) -> requests.auth.AuthBase:
        """Of that kind (`token`, `password`, `wrong`, `anonymous`) in the recordings, for that user."""
        ...

    def send(self, request: requests.Request) -> requests.Response:
        """As it is: redirects are not followed. Raises NoAnswer."""
        ...

    def narrowed(self, path: str, answer: Any, items: set[int]) -> Any:
        """JSON without the jobs and queue items of other people; `items` are the ids of ours."""
        ...

    def unknown_item(self, recorded: int) -> int:
        """The id of no queue item, in place of one that the recording did not get from a trigger."""
        ...

    def adapter(self) -> JenkinsServer: ...

    # ---- time ----

    def now(self) -> float: ...

    def pass_time(self, seconds: float) -> None: ...

    def align(self, second_of_tick: float) -> None:
        """Let the queue be looked at when a multiple of five seconds plus this is reached, if that can be chosen."""
        ...

    def delayed(self, seconds: float) -> float:
        """By how much the rest of a recording moves back when it is behind by so many seconds."""
        ...

    def await_start(self, name: str) -> bool:
        """Wait for the job's first build. False: its start is due at the recorded time anyway."""
        ...

    # ---- setting the scene ----

    def parametrised(self, *names: str) -> str:
        """The config.xml of a job with these parameters; a parameter's default is its name in small letters."""
        ...

    def job(self, name: str, xml: str, work: Work) -> None:
        """Make a job, or give an existing one that config."""
        ...

    def recorded_work(self, name: str, work: Work) -> None:
        """What a job does that an exchange of the recording makes, where its XML does not say it."""
        ...

    def trigger(self, name: str, parameters: dict[str, str], quiet: float) -> int:
        """The id of the queue item. Without a quiet period it has started, or is blocked, afterwards."""
        ...

    def stop(self, name: str) -> None:
        """Every running build of that job."""
        ...

    def set_disabled(self, name: str, disabled: bool) -> None: ...

    def clear_queue(self) -> None:
        """Cancel what waits of our jobs."""
        ...


def eventually(subject: Subject, look: Callable[[], Found | None]) -> Found:
    """Look until something is found, in the subject's time."""
    deadline = subject.now() + LONGEST_WAIT
    while not (found := look()):
        assert subject.now() < deadline, "it never came"
        subject.pass_time(subject.step)
    return found
