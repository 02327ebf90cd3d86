"""The engine's side of Docker images: connections made by the docker SDK, its streams, and what its failures mean."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

from kcibot.core.ports import Cancellation, Report
from kcibot.core.ports.images import NEVER
from kcibot.errors import KcibotError, NotFound, PermanentError, TransientError

if TYPE_CHECKING:
    import docker
    import requests

Line = Mapping[str, Any]

LOOK_SECONDS = 30.0
STOP_SECONDS = 0.2
"""How long it takes at most until a stream is hung up on that people stopped."""
DENIED = re.compile(
    r"unauthorized|denied|no basic auth credentials|authentication required|incorrect username", re.IGNORECASE
)
_FINAL = re.compile(
    r"returned a non-zero code|does not exist|not found|unknown instruction|requires BuildKit", re.IGNORECASE
)
_NOISE = ("--->", "Removing intermediate container")
_MISSING = re.compile(r"not found|manifest unknown|no such image", re.IGNORECASE)


class Engine(Protocol):
    """What is used of the SDK's client, with types."""

    def build(self, **options: object) -> Iterator[Line]: ...
    def inspect_image(self, image: str) -> Line: ...
    def tag(self, image: str, repository: str, tag: str) -> bool: ...
    def push(self, repository: str, **options: object) -> Iterator[Line]: ...
    def pull(self, repository: str, tag: str, **options: object) -> Iterator[Line]: ...
    def remove_image(self, image: str) -> object: ...


class EngineConnection:
    """How to reach the engine; `seconds` is how long it may be silent in a stream."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds

    @contextmanager
    def use(self, doing: str, lost: type[KcibotError], cancellation: Cancellation = NEVER) -> Iterator[Engine]:
        """An engine that was reached. After that a lost connection is `lost`; no vendor's exception comes out.

        Every use has a connection of its own: one kept from before could be dead, and a push on it would look lost.
        Once cancelled, the stream that is being read is hung up on, which looks like a lost connection; the engine
        ends what it streams when nobody listens.
        """
        from docker.errors import APIError, DockerException  # noqa: PLC0415 (imported at first use: the bot starts without it)
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 (imported at first use: the bot starts without it)

        vendors = (OSError, ValueError, HTTPError, DockerException)  # what requests raises is an OSError
        try:
            client = _client_class()(self._url, version="auto", timeout=int(LOOK_SECONDS))
        except vendors as error:
            raise self._unreachable(error) from error
        client.timeout = max(1, int(self._seconds))
        over = threading.Event()
        if cancellation is not NEVER:
            threading.Thread(target=_hang_up, args=(client, cancellation, over), daemon=True).start()
        try:
            yield cast("Engine", client)
        except APIError as error:
            raise _refused(error.status_code or 0, str(error.explanation or ""), doing, lost) from error
        except vendors as error:
            raise lost(f"The Docker engine was to {doing}; its answer was lost or could not be read.") from error
        finally:
            over.set()
            client.close()

    def _unreachable(self, error: BaseException) -> KcibotError:
        kinds = {type(each) for each in chain(error)}
        text = f"The Docker engine at {self._url} cannot be used"
        if PermissionError in kinds:
            return PermanentError(f"{text}: the bot's user may not open its socket.")
        if kinds & {ConnectionRefusedError, FileNotFoundError}:
            return TransientError(f"{text}: nothing listens there. Is it running?")
        return TransientError(f"{text}: it did not tell its version.")


def _hang_up(client: Any, cancellation: Cancellation, over: threading.Event) -> None:
    """Until the use is over, watch for people who want it stopped, and then wake whoever reads the stream."""
    while not over.wait(STOP_SECONDS):
        if cancellation.cancelled:
            client.hang_up()


@cache
def _client_class() -> "type[docker.APIClient]":
    import docker  # noqa: PLC0415 (imported at first use: the bot starts without it)

    class Client(docker.APIClient):
        answered: "requests.Response | None" = None

        def send(self, request: Any, **options: Any) -> "requests.Response":
            """Never wait for ever, which the SDK's pull would, and never by way of a proxy."""
            options["timeout"] = options.get("timeout") or self.timeout
            self.answered = super().send(request, **{**options, "proxies": {}})
            return self.answered

        def hang_up(self) -> None:
            """End the reading of the answer from another thread, which urllib3 can since 2.3.

            One that was read to its end has no connection any more.
            """
            if self.answered is not None:
                with suppress(AttributeError, ValueError, RuntimeError, OSError):
                    self.answered.raw.shutdown()

        def close(self) -> None:
            """Its pool does not know of a stream that was not read to its end: the engine would go on with it."""
            if self.answered is not None:
                self.answered.close()
            super().close()

    return Client


class StreamError(Exception):
    """A line of a stream said that it failed."""


def checked(stream: Iterator[Line]) -> Iterator[Line]:
    """The lines of a stream; raises `StreamError` at one that says that it failed."""
    for line in stream:
        if not isinstance(line, Mapping):
            raise StreamError("the engine sent something that is no line of a stream")
        # An engine that refuses by a chunked answer has its message taken for a line by the SDK (docker-py 3108).
        detail = line.get("errorDetail") or {}
        message = detail.get("message") or line.get("error") or (line.get("message") if len(line) == 1 else None)
        if message or detail:
            raise StreamError(str(message or "it did not say why").strip())
        yield line


def built(name: str, stream: Iterator[Line], report: Report) -> str:
    """The id that the build's stream named last, or nothing; the steps are reported."""
    image_id, last = "", ""
    try:
        for line in checked(stream):
            image_id = (line.get("aux") or {}).get("ID") or image_id
            text = str(line.get("stream", "")).strip()
            if text.startswith("Step "):
                report(f"{name}: {text}")
            last = text if text and not text.startswith(_NOISE) else last
    except StreamError as error:
        raise _by_text(
            str(error), f"Building {name} failed after {last!r}" if last else f"Building {name} failed"
        ) from error
    return image_id


def pulled(name: str, stream: Iterator[Line]) -> str:
    """The digest that the engine says it got, or nothing."""
    digest = ""
    try:
        for line in checked(stream):
            status = str(line.get("status", ""))
            digest = status.removeprefix("Digest: ") if status.startswith("Digest: ") else digest
    except StreamError as error:
        raise _by_text(str(error), f"Pulling {name} failed") from error
    return digest


def _by_text(text: str, what: str) -> KcibotError:
    """The kind of a failure that had no effect worth keeping, told by the engine's words: they are all there is."""
    final = _FINAL.search(text) or DENIED.search(text)
    return PermanentError(f"{what}: {text}") if final else TransientError(f"{what}: {text}")


def _refused(status: int, text: str, doing: str, lost: type[KcibotError]) -> KcibotError:
    what = f"The Docker engine refused to {doing}"
    if status == HTTPStatus.NOT_FOUND and _MISSING.search(text):
        return NotFound(f"{what}: {text}")
    if DENIED.search(text) or HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return PermanentError(f"{what}: {text}")
    return lost(f"{what}: {text or status}")


def inspect(engine: Engine, name: str) -> Line | None:
    """What the engine knows of a local image; None if it says that it has none."""
    from docker.errors import ImageNotFound  # noqa: PLC0415 (imported at first use: the bot starts without it)

    try:
        image = engine.inspect_image(name)
    except ImageNotFound:
        return None
    if not isinstance(image, Mapping) or "Id" not in image:
        raise ValueError("not an image")
    return image


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made of; requests keeps causes in arguments, urllib3 in `reason`."""
    yield error
    for each in (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args):
        if isinstance(each, BaseException):
            yield from chain(each)
