"""One conversation with Jenkins, over python-jenkins: every way in which it can fail, told apart.

What the recorded contract taught. 401 and 403 around a restart say nothing about the credentials. A 404 counts only
while the server is healthy. 502 and 503 are never "does not exist". A refused connection had no effect, a lost answer
may have had one. A crumb that is not taken is fetched anew, once.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import jenkins
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from kcibot.errors import NotFound, OutcomeUnknown, PermanentError, TransientError

SESSION_HEADER = "X-Jenkins-Session"
LOG_SIZE_HEADER = "X-Text-Size"
NO_CRUMB = "No valid crumb"
JENKINS_WAITS = "Please wait while Jenkins is"
XML = "text/xml; charset=utf-8"

VENDOR_ERRORS = (jenkins.JenkinsException, requests.HTTPError)
"""What python-jenkins makes of a status."""
TRANSPORT_ERRORS = (
    jenkins.TimeoutException,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
"""No usable HTTP answer at all."""
REFUSED_FOR_GOOD = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})
REFUSED_LOGIN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class _Redirected(Exception):
    """The answer was a redirect, which is never followed: its address may not be one that we can reach."""


Each = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Answer:
    """Any HTTP answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json_object(self, each: Each | None = None) -> dict[str, Any]:
        """Raises ValueError for anything but a JSON object. `each` may put something else in place of those inside."""
        value = json.loads(self.text, object_hook=each)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004 (a wrong answer, not a wrong call)
        return value


class Connection:
    """Requests to one server, as one user. May be used by many threads: each has a client of its own."""

    def __init__(self, url: str, user: str, token: Callable[[], str], timeout_seconds: float) -> None:
        self.url = url.rstrip("/") + "/"
        self.user = user
        self._token = token
        self._timeout = timeout_seconds
        self._local = threading.local()

    # ---- looking -----------------------------------------------------------------------------------------------

    def look(self, path: str, what: str, tree: str = "", each: Each | None = None) -> tuple[dict[str, Any], str]:
        """GET an API address: its JSON and the server's session. NotFound only from a healthy server.

        `each` is given every object of a large answer while it is read: what it returns stands in its place.
        """
        answer = self.fetch(path + "api/json", what, {"tree": tree} if tree else {})
        session = answer.headers.get(SESSION_HEADER, "")
        try:
            value = answer.json_object(each)
        except ValueError as error:
            raise TransientError(f"Jenkins answered something that is not JSON when asked for {what}.") from error
        if not session or "X-Jenkins" not in answer.headers:
            raise TransientError(f"Something that is not Jenkins answered when asked for {what}.")
        return value, session

    def fetch(self, path: str, what: str, query: Mapping[str, str] | None = None) -> Answer:
        """GET any address; anything but a 200 raises."""
        try:
            answer = self._send("GET", path, query or {}, None, {})
        except TRANSPORT_ERRORS as error:
            raise TransientError(f"Jenkins {_how(error)} when asked for {what}.") from error
        if answer.status == HTTPStatus.OK:
            return answer
        raise self._refused_look(answer, what)

    def size_of_log(self, path: str, what: str) -> int:
        """The log's length in bytes, without reading it; see fact 18 of the contract."""
        try:
            request = requests.Request("GET", self.url + path, params={"start": "0"})
            with self._client().jenkins_request(request, add_crumb=False, stream=True) as response:
                return _log_size(response.headers, what)
        except TRANSPORT_ERRORS as error:
            raise TransientError(f"Jenkins {_how(error)} when asked for {what}.") from error
        except VENDOR_ERRORS:
            return _log_size(self.fetch(path, what, {"start": "0"}).headers, what)

    def log_from(self, path: str, what: str, start: int) -> str:
        """The log's text from that byte on."""
        answer = self.fetch(path, what, {"start": str(start)})
        _log_size(answer.headers, what)
        return answer.text

    def _refused_look(self, answer: Answer, what: str) -> Exception:
        if answer.status == HTTPStatus.NOT_FOUND:
            self.confirm_health(what)
            return NotFound(f"Jenkins has no {what.removeprefix('the ').removeprefix('its ')}.")
        self._refuse_access(answer, what)
        return TransientError(f"Jenkins answered {answer.status} when asked for {what}.")

    def confirm_health(self, what: str) -> None:
        """A 404 is a positive answer only if the root answers as Jenkins does; raises TransientError otherwise."""
        try:
            answer = self._send("GET", "api/json", {"tree": "mode"}, None, {})
            healthy = answer.status == HTTPStatus.OK and "X-Jenkins" in answer.headers and bool(answer.json_object())
        except (*TRANSPORT_ERRORS, ValueError) as error:
            raise TransientError(f"Jenkins is not well: {what} could not be looked at.") from error
        if not healthy:
            raise TransientError(f"Jenkins is not well ({answer.status}): {what} could not be looked at.")

    def _refuse_access(self, answer: Answer, what: str) -> None:
        """Only Jenkins' own page that names the missing permission is a verdict."""
        permission = answer.headers.get("X-Required-Permission", "")
        known = answer.headers.get("X-You-Are-Authenticated-As", "") == self.user
        if answer.status == HTTPStatus.FORBIDDEN and permission and known:
            raise PermanentError(f"The Jenkins user {self.user} lacks the permission {permission} for {what}.")
        if answer.status in REFUSED_LOGIN:
            raise TransientError(
                f"Jenkins refused our login ({answer.status}) for {what}. Around a restart this means nothing; "
                "if it lasts, check the user and the token."
            )

    # ---- acting ------------------------------------------------------------------------------------------------

    def act(
        self,
        path: str,
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        xml: str | None = None,
        accepted: frozenset[int] = frozenset({HTTPStatus.FOUND}),
    ) -> Answer:
        """POST once. An answer that is in `accepted` is returned; everything else raises what may be done about it."""
        body: Any = form if xml is None else xml.encode()
        headers = {} if xml is None else {"Content-Type": XML}
        answer = self._post(path, what, query or {}, body, headers)
        if answer.status == HTTPStatus.FORBIDDEN and NO_CRUMB in answer.text:
            self._client().crumb = None
            answer = self._post(path, what, query or {}, body, headers)
        if answer.status in accepted:
            return answer
        raise self._refused_act(answer, what)

    def _post(self, path: str, what: str, query: Mapping[str, str], body: Any, headers: dict[str, str]) -> Answer:
        crumb = self._crumb(what)
        try:
            return self._send("POST", path, query, body, {**headers, **crumb})
        except TRANSPORT_ERRORS as error:
            if _never_sent(error):
                raise TransientError(f"Jenkins {_how(error)}; nothing was done to {what}.") from error
            raise OutcomeUnknown(f"Jenkins {_how(error)}: whether it did {what} is not known.") from error

    def _crumb(self, what: str) -> dict[str, str]:
        """The header that a password login needs. Nothing was sent yet, so trouble here had no effect."""
        request, client = requests.Request("POST", self.url), self._client()
        try:
            client.maybe_add_crumb(request)
        except TRANSPORT_ERRORS as error:
            raise TransientError(
                f"Jenkins {_how(error)} when asked for a crumb; nothing was done to {what}."
            ) from error
        except (*VENDOR_ERRORS, ValueError, TypeError, KeyError) as error:
            client.crumb = None
            answer = getattr(error.__context__, "response", getattr(error, "response", None))
            if answer is not None:
                self._refuse_access(_answer(answer), what)
            how = "something that is not JSON" if answer is None else answer.status_code
            raise TransientError(
                f"Jenkins answered {how} when asked for a crumb; nothing was done to {what}."
            ) from error
        if not all(isinstance(part, str) for pair in request.headers.items() for part in pair):
            client.crumb = None
            raise TransientError(f"Jenkins gave a crumb that was not understood; nothing was done to {what}.")
        return dict(request.headers)

    def _refused_act(self, answer: Answer, what: str) -> Exception:
        status = answer.status
        self._refuse_access(answer, what)
        if status == HTTPStatus.NOT_FOUND:
            self.confirm_health(what)
            return NotFound(f"Jenkins found nothing to act on: {what} was not done.")
        if status in REFUSED_FOR_GOOD:
            return PermanentError(_refused(answer, what))
        if (
            status == HTTPStatus.SERVICE_UNAVAILABLE and JENKINS_WAITS in answer.text
        ) or status == HTTPStatus.TOO_MANY_REQUESTS:
            return TransientError(f"Jenkins is starting or busy ({status}); nothing was done to {what}.")
        return OutcomeUnknown(f"Jenkins answered {status}: whether it did {what} is not known.")

    # ---- sending -----------------------------------------------------------------------------------------------

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Any, headers: dict[str, str]) -> Answer:
        """One request by python-jenkins, whose errors for a status are undone: the status alone tells the truth."""
        seen: list[requests.Response] = []

        def keep(response: requests.Response, **_settings: object) -> None:
            seen.append(response)
            if response.is_redirect:
                raise _Redirected

        request = requests.Request(
            method, self.url + path, params=dict(query), data=body, headers=headers, hooks={"response": [keep]}
        )
        try:
            self._client().jenkins_request(request, add_crumb=False)
        except _Redirected:
            return _answer(seen[-1])
        except VENDOR_ERRORS as error:
            if not seen or isinstance(error, TRANSPORT_ERRORS):
                raise
        return _answer(seen[-1])

    def _client(self) -> jenkins.Jenkins:
        """This thread's client; a new one when the token has changed."""
        token = self._token()
        if getattr(self._local, "token", None) != token:
            seconds = cast("int", self._timeout)  # requests takes fractions, the stubs do not know
            self._local.client = jenkins.Jenkins(self.url, self.user, token, timeout=seconds)
            self._local.token = token
        return cast("jenkins.Jenkins", self._local.client)


def _answer(response: requests.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.text)


def _log_size(headers: Mapping[str, str], what: str) -> int:
    """Only a log has this header: a web page of somebody in between has not."""
    size = headers.get(LOG_SIZE_HEADER, "")
    if not size.isdigit():
        raise TransientError(f"Jenkins answered something that is not a log when asked for {what}.")
    return int(size)


def _refused(answer: Answer, what: str) -> str:
    said = answer.headers.get("X-Error", "").strip()
    if answer.status == HTTPStatus.CONFLICT:
        return f"Jenkins refused {what}: the job is disabled, or a fresh copy that was not enabled yet."
    return f"Jenkins refused {what} ({answer.status}){': ' + said if said else ''}."


def _cause(error: BaseException) -> BaseException:
    """python-jenkins wraps time-outs of requests."""
    wrapped = isinstance(error, jenkins.TimeoutException) and error.__context__ is not None
    return error.__context__ if wrapped and error.__context__ else error


def _never_sent(error: BaseException) -> bool:
    """No connection was made, so nothing can have reached the server."""
    cause = _cause(error)
    if isinstance(cause, requests.exceptions.ConnectTimeout):
        return True
    inner = cause.args[0] if cause.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)


def _how(error: BaseException) -> str:
    """Without the error's own text, which may hold addresses with secrets in them."""
    if _never_sent(error):
        return "cannot be reached"
    if isinstance(_cause(error), requests.Timeout):
        return "did not answer in time"
    return "broke the connection"
