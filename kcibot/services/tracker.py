"""Issues and pull requests over the HTTP API in GitHub's form, which Gitea and Forgejo speak as well.

What may have been opened although no answer came is OutcomeUnknown; it is found again by looking, never opened twice.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from kcibot.errors import ConfigError, OutcomeUnknown, PermanentError, TransientError

if TYPE_CHECKING:
    import requests

PER_PAGE = 100
PAGES = 10
"""Pages of issues that are looked through; more since a report was opened cannot be told from "none"."""
CLOCKS_APART = timedelta(days=1)
"""How far the server's clock may be behind ours."""
QUOTED_CHARACTERS = 200

_CREATED = 201
_OK = 200
_TOO_MANY = 429
_FORBIDDEN = 403
_SERVER_TROUBLE = 500
_BUSY = frozenset({408, 425, _TOO_MANY})


class _Issue(BaseModel):
    html_url: str
    body: str | None = None
    pull_request: object = None


class _Head(BaseModel):
    ref: str


class _Pull(BaseModel):
    html_url: str
    head: _Head


class _Opened(BaseModel):
    html_url: str


class _Complaint(BaseModel):
    message: str = ""


_ISSUES = TypeAdapter(list[_Issue])
_PULLS = TypeAdapter(list[_Pull])

T = TypeVar("T")


class HttpTracker:
    """Fulfils `IssueTracker` for one repository, `owner/name`.

    `url` is the API's root. `token` is asked for at every question.
    """

    def __init__(self, url: str, repository: str, token: Callable[[], str], timeout_seconds: float = 10.0) -> None:
        self._owner = repository.partition("/")[0]
        self._repository = repository
        self._base = f"{url.rstrip('/')}/repos/{repository}"
        self._token = token
        self._timeout = timeout_seconds

    def find_issue(self, marker: str, since: datetime) -> str | None:
        """Asks for everything that changed since, as what was opened since did; pull requests come along as issues."""
        moment = (since - CLOCKS_APART).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {"state": "all", "since": moment, "sort": "created", "direction": "desc"}
        for page in self._pages("issues", query, _ISSUES):
            for issue in page:
                if issue.pull_request is None and marker in (issue.body or "").splitlines():
                    return issue.html_url
        return None

    def open_issue(self, title: str, text: str) -> str:
        return self._open("issues", {"title": title, "body": text}, "the issue")

    def find_pull(self, branch: str) -> str | None:
        """A server that does not know the filter answers with all pull requests: each is looked at."""
        query = {"state": "all", "head": f"{self._owner}:{branch}", "sort": "created", "direction": "desc"}
        for page in self._pages("pulls", query, _PULLS):
            for pull in page:
                if pull.head.ref == branch:
                    return pull.html_url
        return None

    def open_pull(self, branch: str, base: str, title: str, text: str) -> str:
        return self._open("pulls", {"title": title, "head": branch, "base": base, "body": text}, "the pull request")

    # ---- inside ------------------------------------------------------------------------------------------------

    def _pages(self, kind: str, query: Mapping[str, str], shape: TypeAdapter[list[T]]) -> Iterator[list[T]]:
        """Every page; TransientError if there are more than anybody reads, which is no "there is none"."""
        for number in range(1, PAGES + 1):
            page = self._look(kind, {**query, "per_page": str(PER_PAGE), "page": str(number)}, shape)
            yield page
            if len(page) < PER_PAGE:
                return
        many = f"{self._repository} has too many {kind} to look through"
        raise TransientError(f"{many}; whether one is there is unknown.")

    def _look(self, kind: str, query: Mapping[str, str], shape: TypeAdapter[list[T]]) -> list[T]:
        import requests  # noqa: PLC0415 (imported at first use: the bot starts without it)

        what = f"the {kind} of {self._repository}"
        try:
            answer = self._send("GET", kind, query, None)
        except requests.exceptions.SSLError as error:
            raise PermanentError("The certificate of the issue tracker could not be verified.") from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise TransientError(f"The issue tracker did not answer when asked for {what}.") from error
        except requests.RequestException as error:
            raise PermanentError(f"The issue tracker cannot be asked: {type(error).__name__}.") from error
        if answer.status_code != _OK:
            raise _refusal(answer, f"when asked for {what}")
        try:
            return shape.validate_json(answer.content)
        except ValidationError as error:
            raise TransientError(f"The issue tracker answered something else than {what}.") from error

    def _open(self, kind: str, body: Mapping[str, str], what: str) -> str:
        """The address of what was opened. TransientError and PermanentError: certainly nothing was."""
        import requests  # noqa: PLC0415

        unknown = f"The answer of the issue tracker was lost: whether {what} was opened is not known."
        try:
            answer = self._send("POST", kind, {}, body)
        except requests.exceptions.SSLError as error:
            raise PermanentError("The certificate of the issue tracker could not be verified.") from error
        except requests.ConnectionError as error:
            if _never_connected(error):
                raise TransientError("The issue tracker cannot be reached; nothing was opened.") from error
            raise OutcomeUnknown(unknown) from error
        except requests.RequestException as error:
            raise OutcomeUnknown(unknown) from error
        if answer.status_code == _CREATED:
            return _address(answer, unknown)
        status = answer.status_code
        if status >= _SERVER_TROUBLE or status < 300:  # noqa: PLR2004 (HTTP's own boundary)
            raise OutcomeUnknown(f"The issue tracker answered {status}; whether {what} was opened is not known.")
        raise _refusal(answer, f"and did not open {what}")

    def _send(
        self, method: str, kind: str, query: Mapping[str, str], body: Mapping[str, str] | None
    ) -> "requests.Response":
        """The token goes into a header set by an `auth` function, or a .netrc could put in its own."""
        import requests  # noqa: PLC0415

        token = self._secret()

        def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        return requests.request(
            method,
            f"{self._base}/{kind}",
            params=dict(query),
            json=body,
            auth=authorise,
            headers={"Accept": "application/vnd.github+json", "User-Agent": "kcibot"},
            timeout=self._timeout,
            allow_redirects=False,  # a redirection could carry the token to somebody else
        )

    def _secret(self) -> str:
        token = self._token()
        if not (token.isascii() and token.isprintable()):
            raise ConfigError("The issue tracker's token holds a line break or a character that is not ASCII.")
        return token


def _address(answer: "requests.Response", unknown: str) -> str:
    try:
        return _Opened.model_validate_json(answer.content).html_url
    except ValidationError as error:
        raise OutcomeUnknown(unknown) from error


def _refusal(answer: "requests.Response", said: str) -> TransientError | PermanentError:
    """What an answer means that is neither the thing asked for nor in doubt."""
    status = answer.status_code
    text = f"The issue tracker answered {status} {said}{_quoted(answer)}."
    if status >= _SERVER_TROUBLE or status in _BUSY or _limited(answer):
        return TransientError(text)
    if 300 <= status < 400:  # noqa: PLR2004 (HTTP's own range)
        return PermanentError(f"{text} It has moved: services.tracker is not right.")
    return PermanentError(text)


def _limited(answer: "requests.Response") -> bool:
    """Whether a 403 is GitHub's "too many requests", which passes."""
    waits = "Retry-After" in answer.headers or answer.headers.get("X-RateLimit-Remaining") == "0"
    return answer.status_code == _FORBIDDEN and waits


def _quoted(answer: "requests.Response") -> str:
    """The server's own reason, such as "Validation Failed", on one line."""
    try:
        message = _Complaint.model_validate_json(answer.content).message
    except ValidationError:
        return ""
    text = "".join(letter for letter in " ".join(message.split()) if letter.isprintable())[:QUOTED_CHARACTERS]
    return f": {text.rstrip('.')}" if text else ""


def _never_connected(error: "requests.ConnectionError") -> bool:
    """Whether no connection came about, so that nothing can have been sent."""
    import requests  # noqa: PLC0415
    from urllib3.exceptions import MaxRetryError, NewConnectionError  # noqa: PLC0415

    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
