"""A server of issues and pull requests in GitHub's form: of one repository, for one token."""

import json
import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from kcibot.sandbox.http import Request, Response, StandIn, json_response

TOKEN = "tracker-token-" + "7" * 26
REPOSITORY = "kernelci/kernelci-core"


class TrackerStandIn(StandIn):
    """Issues and pull requests share their numbers, and a pull request is listed among the issues, too.

    `branches` are those of the repository: without one no pull request is opened. A bad token is answered with 401, a
    repository that is not there, or not to be seen, with 404, a second pull request of a branch with 422.
    """

    def __init__(
        self,
        repository: str = REPOSITORY,
        token: str = TOKEN,
        branches: Callable[[], Collection[str]] = lambda: (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__()
        self.repository = repository
        self._token = token
        self._branches = branches
        self._now = now
        self._lock = threading.Lock()
        self._threads: list[dict[str, Any]] = []

    @property
    def issues(self) -> tuple[dict[str, Any], ...]:
        """What people would see, oldest first."""
        return tuple(one for one in self._threads if "head" not in one)

    @property
    def pulls(self) -> tuple[dict[str, Any], ...]:
        return tuple(one for one in self._threads if "head" in one)

    def close(self, number: int) -> None:
        """Somebody deals with it."""
        with self._lock:
            self._threads[number - 1]["state"] = "closed"

    def respond(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return _complaint(401, "Bad credentials")
        if not request.headers.get("User-Agent"):
            return _complaint(403, "Request forbidden by administrative rules")
        kind = request.path.removeprefix(f"/repos/{self.repository}/")
        if kind not in {"issues", "pulls"}:
            return _complaint(404, "Not Found")
        with self._lock:
            return self._listed(kind, request) if request.method == "GET" else self._opened(kind, request)

    def _listed(self, kind: str, request: Request) -> Response:
        given = {name: values[0] for name, values in request.values().items()}
        found = [one for one in reversed(self._threads) if kind == "issues" or "head" in one]
        if given.get("state", "open") != "all":
            found = [one for one in found if one["state"] == given.get("state", "open")]
        if "since" in given and kind == "issues":
            found = [one for one in found if one["updated_at"] >= given["since"]]
        if "head" in given and kind == "pulls":
            found = [one for one in found if one["head"]["label"] == given["head"]]
        size, page = int(given.get("per_page", "30")), int(given.get("page", "1"))
        return json_response(found[(page - 1) * size : page * size])

    def _opened(self, kind: str, request: Request) -> Response:
        try:
            given = json.loads(request.body)
        except ValueError:
            return _complaint(400, "Problems parsing JSON")
        if not given.get("title"):
            return _complaint(422, "Validation Failed")
        number = len(self._threads) + 1
        one = {"number": number, "state": "open", "title": given["title"], "body": given.get("body"), **self._stamped()}
        one["html_url"] = f"{self.url}/{self.repository}/{'issues' if kind == 'issues' else 'pull'}/{number}"
        if kind == "pulls":
            trouble = self._pull_trouble(given)
            if trouble:
                return _complaint(422, f"Validation Failed: {trouble}")
            one |= self._sides(given) | {"pull_request": {"url": f"{self.url}{request.path}/{number}"}}
        self._threads.append(one)
        return json_response(one, 201)

    def _stamped(self) -> dict[str, str]:
        at = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"created_at": at, "updated_at": at}

    def _pull_trouble(self, given: dict[str, Any]) -> str:
        head, base = given.get("head"), given.get("base")
        if head not in self._branches() or base not in self._branches():
            return "the field head or base is invalid"
        if any(one["state"] == "open" and one["head"]["ref"] == head for one in self.pulls):
            return f"A pull request already exists for {head}."
        return ""

    def _sides(self, given: dict[str, Any]) -> dict[str, Any]:
        owner = self.repository.partition("/")[0]
        return {side: {"ref": given[side], "label": f"{owner}:{given[side]}"} for side in ("head", "base")}


def _complaint(status: int, message: str) -> Response:
    return json_response({"message": message, "documentation_url": "https://docs.github.com/rest"}, status)
