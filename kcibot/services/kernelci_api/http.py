"""How the KernelCI API is asked: one session for each look, its envelope, and what its refusals mean."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from kcibot.errors import ConfigError, KcibotError, PermanentError, TransientError
from kcibot.services.kernelci_api.documents import Envelope

if TYPE_CHECKING:
    import requests

Query = list[tuple[str, str]]

_BUSY = frozenset({408, 425, 429})


class NoSuchPath(PermanentError):
    """The API itself, not something before it, says that it has no such resource."""


def open_session(token: Callable[[], str] | None) -> "requests.Session":
    """A session for one look. The header is set by an `auth` function, or a .netrc could put its own in its place."""
    import requests  # noqa: PLC0415 (imported at first use: the bot starts without it)

    session = requests.Session()
    if token is not None:
        secret = token()
        if not (secret and secret.isascii() and secret.isprintable()):
            raise ConfigError("The token of the KernelCI API is empty, or holds a line break or another odd character.")

        def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = secret
            return request

        session.auth = authorise
    return session


def send(
    session: "requests.Session",
    method: str,
    url: str,
    timeout: float,
    what: str,
    query: Query | None = None,
    follow: Literal["yes", "no"] = "yes",
) -> "requests.Response":
    """The answer, whatever its status; errors name `what` and never the query."""
    import requests  # noqa: PLC0415

    try:
        return session.request(method, url, params=query, timeout=timeout, allow_redirects=follow == "yes")
    except requests.exceptions.SSLError as error:
        raise PermanentError(f"{what}: its certificate could not be verified.") from error
    except requests.Timeout as error:
        raise TransientError(f"{what} did not answer within {timeout:g} s.") from error
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise TransientError(f"{what} cannot be reached, or closed the connection.") from error
    except requests.RequestException as error:
        raise PermanentError(f"{what} cannot be asked: {type(error).__name__}.") from error


def envelope_of(answer: "requests.Response", what: str) -> Envelope:
    """The API's own envelope with a code that means success; every other answer raises."""
    status = answer.status_code
    try:
        envelope = Envelope.model_validate_json(answer.content)
    except ValidationError as error:
        if succeeded(status):
            raise TransientError(f"{what} answered with something else than the API's JSON.") from error
        raise _refusal(what, status, "") from error
    if status == envelope.code == 404:  # noqa: PLR2004 (HTTP's own number)
        raise NoSuchPath(f"{what} is not known to the API: {envelope.reason or 'not found'}.")
    for code in (status, envelope.code):
        if not succeeded(code):
            raise _refusal(what, code, envelope.reason)
    return envelope


def succeeded(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 (HTTP's range of success)


def _refusal(what: str, status: int, reason: str) -> KcibotError:
    said = f"{what} answered {status}" + (f" ({reason[:200]})." if reason else ".")
    if status >= 500 or status in _BUSY:  # noqa: PLR2004 (HTTP's own boundary: from here on it is the server's trouble)
        return TransientError(said)
    return PermanentError(said)
