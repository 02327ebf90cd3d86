"""Docker images: built and moved by an engine through the docker SDK, and checked in the registry by its own HTTP API.

An engine reports most failures as a line in a stream that ends like a success, and keeps an old local image when a pull
fails. So every line is read, and what the registry really has is asked of the registry.
"""

import logging
from typing import Any
from urllib.parse import urlsplit

from kcibot.core.ports import Base, Cancellation, ImageBuild, Origin, Report
from kcibot.core.ports.images import NEVER
from kcibot.errors import Aborted, ConfigError, KcibotError, NotFound, OutcomeUnknown, PermanentError, TransientError
from kcibot.services.images.engine import (
    DENIED,
    Engine,
    EngineConnection,
    Line,
    StreamError,
    built,
    checked,
    inspect,
    pulled,
)
from kcibot.services.images.names import Reference, has_host
from kcibot.services.images.registry import DIGEST, Login, Registry

log = logging.getLogger(__name__)


class DockerImages:
    """An `ImageRegistry`. Names are like `kernelci/build-base`; the engine gets `prefix` (`host:port/`) before them.

    `base_url` is the engine's `http://`, `tcp://` or `unix://` address, `registry_url` the root of the registry's HTTP
    API. `login` gives user and password when they are needed; without it the engine's user may have logged in.
    `timeout_seconds` is how long the engine may be silent, `network_mode` that of builds, for engines without a bridge.
    Raises ConfigError for addresses it cannot use.
    """

    def __init__(
        self,
        base_url: str,
        registry_url: str,
        prefix: str,
        timeout_seconds: float = 600.0,
        login: Login | None = None,
        network_mode: str | None = None,
    ) -> None:
        _check_address("Docker engine", base_url, ("http", "tcp", "unix"))
        _check_address("image registry", registry_url, ("http", "https"))
        if prefix and not prefix.endswith("/"):
            raise ConfigError(f"The prefix of image names must end with a slash, and {prefix} does not.")
        self._engine = EngineConnection(base_url, timeout_seconds)
        self._registry_url = registry_url.rstrip("/")
        self._prefix = prefix
        self._login = login
        self._network_mode = network_mode

    # ---- the port ---------------------------------------------------------------------------------------------

    def fetch(self, base: Base, report: Report, cancellation: Cancellation = NEVER) -> str:
        """The digest that the engine says it got, if it has it; of our own, the one that the registry names."""
        wanted = Reference.parse(base.name)
        expected = self._expected(wanted) if base.origin is Origin.OURS else None
        source = self._full(wanted.repository) if expected else wanted.repository
        report(f"pulling {base.name}")
        try:
            with self._engine.use(f"pull {base.name}", TransientError, cancellation) as engine:
                return self._pulled_newest(engine, base, source, expected)
        except TransientError as error:
            if cancellation.cancelled:
                raise Aborted(f"The pull of {base.name} was stopped; nothing was built.") from error
            raise

    def build(self, build: ImageBuild, report: Report, cancellation: Cancellation = NEVER) -> str:
        """A lost connection is TransientError: a build has only local effects, and can be done again."""
        if not (build.context / "Dockerfile").is_file():
            raise PermanentError(f"{build.name} cannot be built: its folder holds no Dockerfile.")
        try:
            with self._engine.use(f"build {build.name}", TransientError, cancellation) as engine:
                return self._built(engine, build, report)
        except TransientError as error:
            if cancellation.cancelled:
                raise Aborted(f"The build of {build.name} was stopped; the engine keeps nothing but cache.") from error
            raise

    def local_id(self, name: str) -> str | None:
        with self._engine.use(f"look at the local {name}", TransientError) as engine:
            image = inspect(engine, f"{self._full(name)}:latest")
        return None if image is None else str(image["Id"])

    def digest(self, name: str) -> str | None:
        return self._registry(name).digest("latest")

    def push(self, name: str, report: Report, cancellation: Cancellation = NEVER) -> str:
        """The digest, named by the stream and found in the registry. Raises OutcomeUnknown if the two differ."""
        before = self._visible_digest(name)
        try:
            pushed = self._pushed(name, report, cancellation)
        except StreamError as error:
            raise self._push_failed(name, str(error), before) from error
        except OutcomeUnknown as error:
            if cancellation.cancelled:
                raise OutcomeUnknown(f"The push of {name} was stopped in the middle.") from error
            raise
        try:
            found = self.digest(name)
        except (TransientError, PermanentError) as error:
            raise OutcomeUnknown(f"{name} was pushed as {pushed}, but that could not be checked: {error}") from error
        if found != pushed:
            shown = found or "no such image"
            raise OutcomeUnknown(f"The engine says that it pushed {name} as {pushed}, but the registry has {shown}.")
        return pushed

    def pushed_digest(self, name: str) -> str | None:
        """What the engine remembers is believed only if the registry has it."""
        with self._engine.use(f"look at the local {name}", TransientError) as engine:
            image = inspect(engine, f"{self._full(name)}:latest")
        known = {each.partition("@")[2] for each in (image or {}).get("RepoDigests") or [] if self._is_of(name, each)}
        registry = self._registry(name)
        latest = registry.digest("latest")
        if latest in known:
            return latest
        return next((digest for digest in sorted(known) if registry.digest(digest)), None)

    def keeps(self, name: str, digest: str) -> bool:
        """The manifest and all its parts were asked of the registry; the engine has no say in it."""
        try:
            self._registry(name).prove(digest)
        except NotFound:
            return False
        return True

    def pullable(self, name: str, digest: str) -> None:
        """The registry has the manifest and all its parts, and the engine was seen to ask for it. NotFound if not."""
        self._registry(name).prove(digest)
        wanted = f"{self._full(name)}@{digest}"
        with self._engine.use(f"pull {name}", TransientError) as engine:
            shown = pulled(name, engine.pull(self._full(name), digest, **self._pull_options(self._full(name))))
            image = inspect(engine, wanted) or {}
        if shown != digest or wanted not in (image.get("RepoDigests") or []):
            raise TransientError(f"The engine ended the pull of {name} without proof that it has {digest}.")

    def retag(self, name: str, digest: str) -> None:
        """The old manifest is stored again, byte by byte, as `latest`, and looked at afterwards."""
        registry = self._registry(name)
        manifest = registry.manifest(digest)
        if manifest is None:
            raise NotFound(f"The registry no longer has {name} as {digest}.")
        registry.put("latest", manifest)
        try:
            found = registry.digest("latest")
        except (TransientError, PermanentError) as error:
            raise OutcomeUnknown(f"{name} was set back to {digest}, but that could not be checked: {error}") from error
        if found != digest:
            raise OutcomeUnknown(f"The registry took {digest} for {name}:latest, but shows {found or 'nothing'}.")

    # ---- parts ------------------------------------------------------------------------------------------------

    def _full(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _is_of(self, name: str, repo_digest: str) -> bool:
        return repo_digest.startswith(f"{self._full(name)}@")

    def _registry(self, name: str) -> Registry:
        full = self._full(name)
        return Registry(self._registry_url, full.partition("/")[2] if has_host(full) else full, self._login)

    def _expected(self, wanted: Reference) -> str:
        digest = self._registry(wanted.repository).digest(wanted.reference)
        if digest is None:
            missing = wanted.named(wanted.repository)
            raise NotFound(f"The registry has no {missing} to build on: build and push it, too.")
        return digest

    def _pulled_newest(self, engine: Engine, base: Base, source: str, expected: str | None) -> str:
        wanted = Reference.parse(base.name)
        digest = pulled(base.name, engine.pull(source, wanted.reference, **self._pull_options(source)))
        known = _digests(inspect(engine, wanted.named(source)) or {})
        if not DIGEST.fullmatch(digest) or digest not in known or expected not in {None, digest}:
            raise TransientError(f"The engine ended the pull of {base.name} without proof that it has the newest.")
        return digest

    def _built(self, engine: Engine, build: ImageBuild, report: Report) -> str:
        tag = f"{self._full(build.name)}:latest"
        before = inspect(engine, tag)
        self._lend_bases(engine, build)
        stream = engine.build(
            path=str(build.context),
            tag=tag,
            nocache=build.no_cache,
            buildargs=dict(build.arguments),
            rm=True,
            forcerm=True,
            decode=True,
            network_mode=self._network_mode,
        )
        image_id = built(build.name, stream, report)
        # A stream may end early, after the id of an earlier stage, without any error in it.
        if (inspect(engine, tag) or {}).get("Id") != image_id:
            raise TransientError(f"The build of {build.name} ended before its image was tagged.")
        engine.tag(image_id, build.name, "latest")
        if (
            before
            and before["Id"] != image_id
            and not set(before.get("RepoTags") or []) - {tag, f"{build.name}:latest"}
        ):
            self._let_go(build.name, before)
        return image_id

    def _visible_digest(self, name: str) -> str | None:
        # Docker Hub hides from strangers whether a repository exists: a first push must still be possible.
        try:
            return self.digest(name)
        except PermanentError:
            return "hidden"

    def _pushed(self, name: str, report: Report, cancellation: Cancellation) -> str:
        digest = ""
        options = self._auth() | {"tag": "latest", "stream": True, "decode": True}
        with self._engine.use(f"push {name}", OutcomeUnknown, cancellation) as engine:
            for line in checked(engine.push(self._full(name), **options)):
                if "id" in line and not line.get("progressDetail"):
                    report(f"{name}: {line['id']} {str(line.get('status')).lower()}")
                digest = str((line.get("aux") or {}).get("Digest") or digest)
        if not DIGEST.fullmatch(digest):
            raise OutcomeUnknown(f"The push of {name} ended without a word on what was pushed.")
        return digest

    def _push_failed(self, name: str, text: str, before: str | None) -> KcibotError:
        """What became of a push that ended with an error: only the old digest in the registry proves no effect."""
        if DENIED.search(text):
            return PermanentError(f"The registry refuses to take {name}: {text}")
        if "does not exist locally" in text:
            return PermanentError(f"There is no local image of {name} to push.")
        try:
            unchanged = self.digest(name) == before
        except (TransientError, PermanentError):
            unchanged = False
        if not unchanged:
            return OutcomeUnknown(f"The push of {name} failed ({text}), and the registry may have changed.")
        return TransientError(f"The push of {name} failed, and the registry still has what it had: {text}")

    def _lend_bases(self, engine: Engine, build: ImageBuild) -> None:
        """Give our own bases the names that FROM lines have for them: the engine's copy, or else the registry's."""
        for base in build.bases:
            wanted = Reference.parse(base.name)
            ours = wanted.named(self._full(wanted.repository))
            if base.origin is not Origin.OURS or not self._prefix or wanted.is_digest:
                continue
            if inspect(engine, ours) is None:
                self._expected(wanted)
                source = self._full(wanted.repository)
                pulled(base.name, engine.pull(source, wanted.reference, **self._pull_options(source)))
            engine.tag(ours, wanted.repository, wanted.reference)

    def _let_go(self, name: str, image: Line) -> None:
        """Untag the image that a build replaced: the engine removes what nothing stands on any more, and only that."""
        known = [each for each in image.get("RepoDigests") or [] if self._is_of(name, each)]
        for each in known or [str(image["Id"])]:
            try:
                with self._engine.use(f"remove the image that {name} was before", TransientError) as engine:
                    engine.remove_image(each)
            except KcibotError as error:
                log.info("%s was built, but the image that it was before is still there: %s", name, error)

    def _pull_options(self, source: str) -> dict[str, Any]:
        """The registry's login goes to no other registry."""
        mine = source.partition("/")[0] if has_host(source) else ""
        ours = self._prefix.partition("/")[0] if has_host(self._prefix) else ""
        return (self._auth() if mine == ours else {}) | {"stream": True, "decode": True}

    def _auth(self) -> dict[str, Any]:
        if self._login is None:
            return {}
        user, password = self._login()
        return {"auth_config": {"username": user, "password": password}}


def _digests(image: Line) -> set[str]:
    return {str(each).partition("@")[2] for each in image.get("RepoDigests") or []}


def _check_address(what: str, address: str, schemes: tuple[str, ...]) -> None:
    parts = urlsplit(address)
    if parts.scheme not in schemes or not (parts.netloc or parts.path):
        raise ConfigError(f"The address of the {what} must begin with {' or '.join(s + '://' for s in schemes)}.")
    if "@" in parts.netloc:
        raise ConfigError(f"The address of the {what} must not hold a login: it would be shown.")
