"""The file server (storage.kernelci.org), asked over HTTP whether a file is there."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kcibot.errors import NotFound, PermanentError, TransientError

if TYPE_CHECKING:
    import requests

_OK, _NOT_FOUND = 200, 404
_BUSY = frozenset({408, 425, 429})


class HttpFileStore:
    """Fulfils `FileStore` with HEAD and GET requests."""

    def __init__(self, timeout_seconds: float = 10.0) -> None:
        self._timeout = timeout_seconds

    def exists(self, url: str) -> bool:
        """200 is true, 404 is false, anything else raises.

        A web page that is answered in a file's place, or an answer from another path after a redirection, is no
        evidence either way and raises TransientError.
        """
        answer = self._ask("HEAD", url)
        if answer.status_code == _NOT_FOUND:
            return False
        _check(answer, url)
        return True

    def read(self, url: str) -> str:
        """Raises as `exists` does, and NotFound for 404."""
        answer = self._ask("GET", url)
        if answer.status_code == _NOT_FOUND:
            raise NotFound(f"The file server has no {url}.")
        _check(answer, url)
        answer.encoding = "utf-8"
        return answer.text

    def _ask(self, method: str, url: str) -> "requests.Response":
        import requests  # noqa: PLC0415 (imported at first use: the bot starts without it)

        try:
            return requests.request(method, url, timeout=self._timeout, allow_redirects=True)
        except requests.exceptions.SSLError as error:
            raise PermanentError(f"The certificate of the file server for {url} could not be verified.") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise TransientError(f"The file server did not answer for {url}.") from error
        except requests.RequestException as error:
            raise PermanentError(f"The file server cannot be asked for {url}: {type(error).__name__}.") from error


def _check(answer: "requests.Response", url: str) -> None:
    """Raise unless it is the file."""
    if answer.status_code != _OK:
        raise _refusal(url, answer.status_code)
    _check_is_file(url, answer.url, answer.headers.get("Content-Type", ""))


def _check_is_file(url: str, answered: str, content_type: str) -> None:
    """Raise TransientError if what said 200 was not the file: a proxy's or a maintenance page, say."""
    path = urlsplit(url).path
    if urlsplit(answered).path != path:
        raise TransientError(f"The file server sent the question for {url} on to {answered}.")
    if content_type.startswith("text/html") and not path.endswith((".html", ".htm", "/")):
        raise TransientError(f"The file server answered with a web page instead of the file {url}.")


def _refusal(url: str, status: int) -> TransientError | PermanentError:
    said = f"The file server answered {status} for {url}"
    if status >= 500 or status in _BUSY:  # noqa: PLR2004 (HTTP's own boundary: from here on it is the server's trouble)
        return TransientError(f"{said}; whether the file is there is not known.")
    return PermanentError(f"{said}; whether the file is there cannot be seen.")
