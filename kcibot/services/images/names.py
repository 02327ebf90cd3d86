"""Names of images as Docker reads them: `host:port/path:tag` and `path@sha256:...`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed name; `reference` is a tag, `latest` if none was written, or a digest."""

    repository: str
    reference: str

    @classmethod
    def parse(cls, name: str) -> "Reference":
        name, _, digest = name.partition("@")
        head, slash, last = name.rpartition("/")
        path, _, tag = last.partition(":")
        return cls(f"{head}{slash}{path}", digest or tag or "latest")

    @property
    def is_digest(self) -> bool:
        return ":" in self.reference

    def named(self, repository: str) -> str:
        """That repository's image of the same tag or digest."""
        return f"{repository}{'@' if self.is_digest else ':'}{self.reference}"


def has_host(name: str) -> bool:
    """Whether the name begins with a registry's host, as Docker tells it from the first part of a path."""
    host, slash, _ = name.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")
