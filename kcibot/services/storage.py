"""The file server (storage.kernelci.org), asked over HTTP whether a file is there."""

from urllib.parse import urlsplit

from kcibot.errors import PermanentError, TransientError

_BUSY = frozenset({408, 425, 429})


class HttpFileStore:
    """Fulfils `FileStore` with HEAD requests."""

    def __init__(self, timeout_seconds: float = 10.0) -> None:
        self._timeout = timeout_seconds

    def exists(self, url: str) -> bool:
        """200 is true, 404 is false, anything else raises.

        A web page that is answered in a file's place, or an answer from another path after a redirection, is no
        evidence either way and raises TransientError.
        """
        import requests  # noqa: PLC0415 (imported at first use: the bot starts without it)

        try:
            answer = requests.head(url, timeout=self._timeout, allow_redirects=True)
        except requests.exceptions.SSLError as error:
            raise PermanentError(f"The certificate of the file server for {url} could not be verified.") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise TransientError(f"The file server did not answer for {url}.") from error
        except requests.RequestException as error:
            raise PermanentError(f"The file server cannot be asked for {url}: {type(error).__name__}.") from error
        if answer.status_code == requests.codes.not_found:
            return False
        if answer.status_code == requests.codes.ok:
            _check_is_file(url, answer.url, answer.headers.get("Content-Type", ""))
            return True
        raise _refusal(url, answer.status_code)


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
