"""Docker images: an engine that builds, and a registry that keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from kcibot.core.ports.basics import Cancellation, Never, Report

NEVER = Never()


class Origin(StrEnum):
    """Where a base is kept: where our own images are pushed to, or where its name says."""

    OURS = "ours"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Base:
    """An image in a FROM line, with every variable filled in; without a tag it is `latest`."""

    name: str
    origin: Origin = Origin.OURS


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """What to build: `context` is a folder holding a Dockerfile, `arguments` are those of its ARG lines."""

    name: str
    context: Path
    no_cache: bool = True
    arguments: Mapping[str, str] = field(default_factory=dict)
    bases: tuple[Base, ...] = ()


class ImageRegistry(Protocol):
    """Builds images on an engine and moves them to and from a registry. Digests are `sha256:` + 64 hex digits."""

    def fetch(self, base: Base, report: Report, cancellation: Cancellation = NEVER) -> str:
        """Make the engine's copy of a base the one that its registry has now; its digest.

        NotFound if the registry says that it has none. The copy that the engine had is never taken for the newest.
        Raises Aborted when stopped.
        """
        ...

    def build(self, build: ImageBuild, report: Report, cancellation: Cancellation = NEVER) -> str:
        """The local image id, after every line of the stream was read without an error in it.

        Bases are taken as the engine has them. The image that had the name before is let go. Raises Aborted when
        stopped: nothing of the build is left but cache.
        """
        ...

    def local_id(self, name: str) -> str | None: ...

    def digest(self, name: str) -> str | None:
        """The registry's digest of the name's `latest`, None if the registry says that it has none."""
        ...

    def push(self, name: str, report: Report, cancellation: Cancellation = NEVER) -> str:
        """The pushed digest, as the stream named it. Raises OutcomeUnknown when stopped in the middle."""
        ...

    def pushed_digest(self, name: str) -> str | None:
        """The digest under which the engine's local image of that name is known to the registry, if it is."""
        ...

    def keeps(self, name: str, digest: str) -> bool:
        """Whether the registry still has that digest with all its parts; nothing is pulled."""
        ...

    def pullable(self, name: str, digest: str) -> None:
        """Prove that this very digest can be pulled; raises if not."""
        ...

    def retag(self, name: str, digest: str) -> None:
        """Make `latest` that older digest again, in the registry."""
        ...
