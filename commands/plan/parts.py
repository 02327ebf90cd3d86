"""What a release is made of: the configured repositories, and what the plan froze of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import PermanentError, listed
from kcibot_commands.rules import changes
from kcibot_commands.rules.js_renames import Rename
from kcibot_commands.rules.versions import SuffixStyle

SHORT = 10
MOVED = "moved"
"""Topic: component -> where its production branch was before a release moved it that has not come to its end yet."""
OURS = "release-tags"
"""Topic: component -> the newest tag that a release made, or found made by people and right on that day."""
CONFIGURED = "configured"
"""Topic: repository of playbooks -> its commit that something was deployed with last."""


class TagStyle(StrEnum):
    """How a repository names its releases. NONE has none: it is read and frozen for the steps that use it."""

    DATED = "dated"
    VERSION = "version"
    NONE = "none"


@dataclass(frozen=True)
class Component:
    """A repository of the release: its branches, how it is tagged, and which of KernelCI's it is.

    One with tags NONE is never pushed or tagged: the head of its `development` branch is frozen, and it needs no
    `production` branch. `kind` is None for one whose own name says what it is.
    """

    development: str = "main"
    production: str = "kernelci.org"
    tags: TagStyle = TagStyle.DATED
    suffix: SuffixStyle = SuffixStyle.WHEN_NEEDED
    version_file: str = ""
    kind: changes.Component | None = None

    @property
    def read_only(self) -> bool:
        return self.tags is TagStyle.NONE


def default_components() -> Mapping[str, Component]:
    """The repositories of KernelCI."""
    return {
        "core": Component(),
        "backend": Component(tags=TagStyle.VERSION, suffix=SuffixStyle.ALWAYS, version_file="app/handlers/__init__.py"),
        "frontend": Component(tags=TagStyle.VERSION, version_file="app/dashboard/__init__.py"),
        "jenkins": Component(),
        "backend-config": Component(production="", tags=TagStyle.NONE),
        "frontend-config": Component(production="", tags=TagStyle.NONE),
        "linux": Component(development="kernelci.org", production="", tags=TagStyle.NONE),
    }


class JsNames(StrEnum):
    """What a release does about a changed view of the frontend that has no new dated name."""

    OFFER = "offer"
    STOP = "stop"


@dataclass(frozen=True)
class ReleaseSettings:
    """Which repositories make up a release.

    `js_names`: whether the release offers the commit that gives changed views their new dated names, or stops for it.
    """

    section: ClassVar[str] = "release"
    components: Mapping[str, Component] = field(default_factory=default_components)
    message_domain: str = "kernelci.org"
    js_names: JsNames = JsNames.OFFER

    def component(self, name: str) -> Component:
        """Raises PermanentError for one that is not configured."""
        if name not in self.components:
            raise PermanentError(f"{name} is not among the configured components {listed(list(self.components))}")
        return self.components[name]


@dataclass(frozen=True)
class Planned:
    """One commit that goes to production."""

    sha: str
    author: str
    subject: str


@dataclass(frozen=True)
class Part:
    """What the plan holds for one component. `release` is the commit to be tagged and pushed.

    It is the development branch's commit, or a version bump on top of it, or on top of a commit with `renames` of the
    frontend's views. `blocked` says what must be mended before it is tagged. `tag` is empty if nothing changed.
    `version` is what the release's file says, empty for components without one. `base` is where production was before
    this release, or one that was begun and not ended, moved the branch: `causes` count from there, so that what an
    unfinished release left undone is done by the next.

    Of a component that is only read, `release` is the branch's head and nothing is `changed`; its `commits` are those
    since it was deployed with last, `previous` is that commit.
    """

    component: str
    production: str
    development: str
    release: str
    tag: str = ""
    previous: str = ""
    version: str = ""
    bump: str = ""
    tagged: str = ""
    commits: tuple[Planned, ...] = ()
    lost: tuple[str, ...] = ()
    causes: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    read_only: bool = False
    renames: tuple[Rename, ...] = ()
    blocked: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return self.release != self.production


@dataclass(frozen=True)
class Plan:
    """A release, frozen: repository -> commit, with its tags and everything that follows from them.

    `audit_head` is the hash of the audit log then; the announcement publishes it. `confirm` holds what people must
    agree to before anything is tagged.
    """

    name: str
    revision: int
    frozen_at: datetime
    message_id: str
    parts: Mapping[str, Part]
    warnings: tuple[str, ...] = ()
    audit_head: str = ""
    confirm: tuple[str, ...] = ()

    def part(self, component: str) -> Part:
        """Raises PermanentError for a component that is not configured."""
        if component not in self.parts:
            raise PermanentError(f"{component} is not among the configured components {listed(list(self.parts))}")
        return self.parts[component]


def frozen(plan: Plan, repository: str) -> str:
    """The commit of that repository which the plan froze; empty if it is not in the plan."""
    return plan.parts[repository].release if repository in plan.parts else ""
