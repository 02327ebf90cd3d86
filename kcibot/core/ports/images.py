"""Docker images: an engine that builds, and a registry that keeps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kcibot.core.ports.basics import Report


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """What to build: `context` is a folder holding a Dockerfile."""

    name: str
    context: Path
    no_cache: bool = True


class ImageRegistry(Protocol):
    """Builds images on an engine and moves them to and from a registry. Digests are `sha256:` + 64 hex digits."""

    def build(self, build: ImageBuild, report: Report) -> str:
        """The local image id, after every line of the stream was read without an error in it."""
        ...

    def local_id(self, name: str) -> str | None: ...

    def digest(self, name: str) -> str | None:
        """The registry's digest of the name's `latest`, None if the registry says that it has none."""
        ...

    def push(self, name: str, report: Report) -> str:
        """The pushed digest, as the stream named it."""
        ...

    def pushed_digest(self, name: str) -> str | None:
        """The digest under which the engine's local image of that name is known to the registry, if it is."""
        ...

    def pullable(self, name: str, digest: str) -> None:
        """Prove that this very digest can be pulled; raises if not."""
        ...

    def retag(self, name: str, digest: str) -> None:
        """Make `latest` that older digest again, in the registry."""
        ...
