"""A recording's names as they are said to another server, and that server's answers in the recording's words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RECORDED_ROOT = "http://jenkins.example:8080/"
RECORDED_USER = "relbot"
USER_FIELDS = {"userId", "userName", "name"}
LOOKS = {"GET", "HEAD", "OPTIONS"}
PLACES = {"job", "createItem", "queue", "api", "me", "whoAmI", "crumbIssuer", "login", "computer"}


@dataclass(frozen=True, slots=True)
class Names:
    """`roots` are the server's addresses, as asked and as configured; `prefix` stands before the names of our jobs;
    `users` are our own names there. The defaults are the recording's own.
    """

    roots: tuple[str, ...]
    prefix: str = ""
    users: tuple[str, ...] = (RECORDED_USER,)

    # ---- to the server ----

    def job(self, name: str) -> str:
        return self.prefix + name

    def path(self, recorded: str) -> str:
        """What is inside a folder of ours needs no prefix."""
        return re.sub(r"^(/+job/)", lambda found: found[1] + self.prefix, recorded)

    def values(self, path: str, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """The query, or the form, of a request to that recorded path."""
        return {key: self.prefix + value if _names_a_job(path, key) else value for key, value in recorded.items()}

    def xml(self, recorded: str) -> str:
        return re.sub(r"(?<=<childProjects>)[^<]+", self._list_of_jobs, recorded)

    def _list_of_jobs(self, found: re.Match[str]) -> str:
        return ", ".join(self.prefix + name.strip() for name in found[0].split(","))

    # ---- from the server ----

    def recorded(self, answer: Any, field: str = "") -> Any:
        """JSON as it would have been recorded, apart from the node on which a build ran."""
        if isinstance(answer, dict):
            return {name: self.recorded(value, name) for name, value in answer.items()}
        if isinstance(answer, list):
            return [self.recorded(value) for value in answer]
        if not isinstance(answer, str):
            return answer
        if field == "builtOn" and self.prefix:
            return ""
        return self.user(answer) if field in USER_FIELDS else self.text(answer)

    def text(self, answered: str) -> str:
        for root in self.roots:
            answered = answered.replace(root, RECORDED_ROOT)
        for user in self.users:
            answered = re.sub(
                rf"^((?:Started|Aborted) by (?:user )?){re.escape(user)}$", rf"\1{RECORDED_USER}", answered
            )
        return answered.replace(self.prefix, "") if self.prefix else answered

    def user(self, answered: str) -> str:
        return RECORDED_USER if answered in self.users else self.text(answered)

    # ---- ours and other people's ----

    def harmless(self, method: str, path: str, query: Mapping[str, Any]) -> bool:
        """Whether a request, as the server gets it, can change nothing but jobs with the prefix.

        Queue items are not checked here: an id that is not ours is not sent.
        """
        place = path.strip("/").partition("/")[0]
        if method in LOOKS:
            return place in PLACES
        if place == "createItem":
            return str(query.get("name", self.prefix)).startswith(self.prefix)
        return place == "queue" or path.startswith(f"/job/{self.prefix}")

    def is_ours(self, thing: Mapping[str, Any], items: set[int]) -> bool:
        """A job, or a queue item, as JSON; one that tells no name is known by its id."""
        about = thing.get("task", thing)
        if "name" in about or "url" in about:
            return str(about.get("name", "")).startswith(self.prefix) or f"/job/{self.prefix}" in about.get("url", "")
        return thing.get("id") in items


def _names_a_job(path: str, key: str) -> bool:
    """Only at the root: a job in a folder of ours may have any name."""
    if path == "/createItem":
        return key in {"name", "from"}
    if re.fullmatch(r"/job/[^/]+/(confirmRename|doRename)", path):
        return key == "newName"
    return path.endswith("/configSubmit") and key == "name"
