"""One conversation with a LAVA server over HTTP, and every way in which it can fail, told apart.

The login goes into a header that nothing prints, never into an address. What an answer says is not passed on in errors.
"""

import time
import xmlrpc.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from kcibot.errors import ConfigError, PermanentError, TransientError

if TYPE_CHECKING:
    import requests

XMLRPC_PATH = "/RPC2/"
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes. A page of a hundred jobs, each with its definition twice, is some megabytes."""

_CHUNK = 8 * 1024
_BUSY = frozenset({408, 425, 429})
_MOVED_FOR_GOOD = frozenset({301, 308})
_REFUSED_LOGIN = frozenset({401, 403})
_NOT_XMLRPC = (xmlrpc.client.Error, ExpatError, ValueError, TypeError, LookupError, ArithmeticError)

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


class LavaServer:
    """One lab's server, asked by one user.

    `url` is its root, with or without the `/RPC2/` of KernelCI's own lists of labs. `authorization` makes the header's
    value anew for every conversation. `timeout_seconds` is how long the server may be silent, and how long an answer
    may take.
    """

    def __init__(
        self, name: str, url: str, user: str, authorization: Callable[[], str], timeout_seconds: float
    ) -> None:
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise ConfigError(f"The address of the lab {name} holds a login, which would be shown: name it beside it.")
        self.name = name
        self.user = user
        self._url = url.rstrip("/").removesuffix(XMLRPC_PATH.strip("/")).rstrip("/")
        self._authorization = authorization
        self._timeout = timeout_seconds

    def session(self) -> "requests.Session":
        """A session for one look. The header is set by an `auth` function, or a .netrc could put in its own."""
        import requests  # noqa: PLC0415 (imported at first use: the bot starts without it)

        header = self._authorization()

        def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = header
            return request

        session = requests.Session()
        session.auth = authorise
        return session

    def get(self, session: "requests.Session", path: str, what: str, query: Query) -> bytes:
        """The body of a 200; any other answer raises."""
        answer = self._send(session, "GET", path, what, query, None)
        if answer.status == 200:  # noqa: PLR2004 (HTTP's own number)
            return answer.body
        raise self._refusal(answer.status, what)

    def call(self, session: "requests.Session", method: str, *arguments: Any) -> object:
        """What a method of the XML-RPC interface answers; a fault raises TransientError.

        LAVA makes a fault of whatever goes wrong inside, a database that is away as much as a method that it does not
        have, so that a fault is no verdict.
        """
        body = xmlrpc.client.dumps(arguments, method, allow_none=True).encode()
        answer = self._send(session, "POST", XMLRPC_PATH, method, {}, body)
        if answer.status != 200:  # noqa: PLR2004
            raise self._refusal(answer.status, method)
        return self._decoded(answer.body, method)

    def _decoded(self, body: bytes, what: str) -> object:
        if b"<!DOCTYPE" in body:  # a web page; also, every attack by XML needs one
            raise TransientError(f"The lab {self.name} answered with a web page instead of {what}.")
        try:
            (value,), _ = xmlrpc.client.loads(body, use_builtin_types=True)
        except xmlrpc.client.Fault as fault:
            raise TransientError(f"The lab {self.name} could not answer {what} (fault {fault.faultCode}).") from None
        except _NOT_XMLRPC as error:
            raise TransientError(f"The lab {self.name} answered something else than {what}.") from error
        return value

    def _refusal(self, status: int, what: str) -> TransientError | PermanentError:
        """A verdict only from a server that surely is LAVA, and well."""
        said = f"The lab {self.name} answered {status} when asked for {what}"
        if status in _MOVED_FOR_GOOD:
            return PermanentError(f"{said}: it has moved; its configured address is not right.")
        if status >= 500 or status < 400 or status in _BUSY:  # noqa: PLR2004 (HTTP's own boundaries)
            return TransientError(f"{said}.")
        if not self._is_lava():
            return TransientError(f"{said}, and does not say that it is LAVA; if that lasts, check its address.")
        if status in _REFUSED_LOGIN:
            return PermanentError(f"{said}: it does not take the token of {self.user}.")
        return PermanentError(f"{said}, which it does not have; check the lab's `api`.")

    def _is_lava(self) -> bool:
        """Whether it tells its version, which LAVA tells everybody."""
        import requests  # noqa: PLC0415

        body = xmlrpc.client.dumps((), "system.version").encode()
        with requests.Session() as nobody:
            nobody.trust_env = False
            try:
                answer = self._send(nobody, "POST", XMLRPC_PATH, "its version", {}, body)
                return answer.status == 200 and isinstance(self._decoded(answer.body, "its version"), str)  # noqa: PLR2004
            except (TransientError, PermanentError):
                return False

    def _send(
        self, session: "requests.Session", method: str, path: str, what: str, query: Query, body: bytes | None
    ) -> _Answer:
        import requests  # noqa: PLC0415

        headers = {"Accept": "application/json"} if body is None else {"Content-Type": "text/xml"}
        deadline = time.monotonic() + self._timeout
        try:
            with session.request(
                method,
                self._url + path,
                params=dict(query),
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,  # a redirection could carry the login to somebody else
                stream=True,
            ) as answer:
                return _Answer(answer.status_code, self._read(answer, what, deadline))
        except requests.exceptions.SSLError as error:
            raise PermanentError(f"The certificate of the lab {self.name} could not be verified.") from error
        except requests.Timeout as error:
            raise self._too_slow(what) from error
        except (
            requests.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise TransientError(f"The lab {self.name} cannot be reached, or closed the connection.") from error
        except requests.RequestException as error:
            raise PermanentError(f"The lab {self.name} cannot be asked: {type(error).__name__}.") from error

    def _read(self, answer: "requests.Response", what: str, deadline: float) -> bytes:
        """The whole body; requests' own time-out starts anew with every byte."""
        body = bytearray()
        for chunk in answer.iter_content(_CHUNK):
            body += chunk
            if time.monotonic() > deadline:
                raise self._too_slow(what)
            if len(body) > LARGEST_ANSWER:
                raise TransientError(f"The lab {self.name} answered more than anybody reads when asked for {what}.")
        return bytes(body)

    def _too_slow(self, what: str) -> TransientError:
        return TransientError(f"The lab {self.name} did not tell {what} within {self._timeout:g} s.")
