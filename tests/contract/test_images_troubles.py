"""What the images adapter makes of engines and registries that fail, lie, fall silent or ask for a login."""

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kcibot.core.cancel import Cancel
from kcibot.core.ports import Base, ImageBuild, Origin
from kcibot.errors import Aborted, ConfigError, NotFound, OutcomeUnknown, PermanentError, TransientError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.docker_engine.engine import DockerEngineStandIn
from kcibot.sandbox.docker_engine.facts import Trouble, TroubleKind
from kcibot.sandbox.http import Fault, FaultKind, Request
from kcibot.sandbox.registry import AuthScheme, RegistryStandIn
from kcibot.services.images.adapter import DockerImages
from kcibot.services.images.registry import Login

NAME = "kernelci/build-base"
LOGIN = ("bot", "hunter2")


@pytest.fixture(autouse=True)
def _no_login_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@dataclass
class StandIns:
    """An engine and its registry, and a folder in which to make what they build."""

    engine: DockerEngineStandIn
    registry: RegistryStandIn
    folder: Path

    def images(self, login: Login | None = None) -> DockerImages:
        return DockerImages(self.engine.url, self.registry.url, self.registry.prefix, 20.0, login)

    def context(self) -> ImageBuild:
        (self.folder / "Dockerfile").write_text("FROM debian:buster\nRUN echo install gcc\n")
        return ImageBuild(NAME, self.folder)

    def build(self) -> str:
        return self.images().build(self.context(), print)

    def pushed(self) -> str:
        """Build and push; the digest."""
        self.build()
        return self.images().push(NAME, print)


@contextmanager
def _started(folder: Path, registry: RegistryStandIn) -> Iterator[StandIns]:
    clock = SandboxClock.create(folder / "clock")
    with registry, DockerEngineStandIn(registry, clock) as engine:
        yield StandIns(engine, registry, folder)


@pytest.fixture
def stand_ins(tmp_path: Path) -> Iterator[StandIns]:
    with _started(tmp_path, RegistryStandIn()) as started:
        yield started


# ---- streams that end badly -------------------------------------------------------------------------------------


def test_an_error_line_in_a_push_is_a_failure_that_may_be_tried_again(stand_ins: StandIns) -> None:
    old = stand_ins.pushed()
    stand_ins.build()
    stand_ins.engine.misbehave(Trouble(TroubleKind.PUSH_ERROR))
    with pytest.raises(TransientError, match="still has what it had"):
        stand_ins.images().push(NAME, print)
    assert stand_ins.registry.digest(NAME) == old
    assert stand_ins.images().push(NAME, print) == stand_ins.registry.digest(NAME) != old


def test_a_push_that_only_says_that_it_succeeded_is_noticed(stand_ins: StandIns) -> None:
    stand_ins.pushed()
    stand_ins.build()
    stand_ins.engine.misbehave(Trouble(TroubleKind.PUSH_LIE))
    with pytest.raises(OutcomeUnknown, match="but the registry has sha256:"):
        stand_ins.images().push(NAME, print)
    assert stand_ins.images().pushed_digest(NAME) is None


def test_a_push_cut_off_may_have_had_its_effect_and_can_be_looked_for(stand_ins: StandIns) -> None:
    stand_ins.build()
    stand_ins.engine.misbehave(Trouble(TroubleKind.PUSH_CUT))
    with pytest.raises(OutcomeUnknown):
        stand_ins.images().push(NAME, print)
    assert stand_ins.images().pushed_digest(NAME) == stand_ins.registry.digest(NAME) is not None


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.HTML, FaultKind.TRUNCATED])
def test_a_push_whose_answer_is_lost_or_spoilt_is_an_unknown_outcome(stand_ins: StandIns, kind: FaultKind) -> None:
    stand_ins.pushed()
    stand_ins.engine.faults.add(Fault(kind, "POST .*/push"))
    with pytest.raises(OutcomeUnknown):
        stand_ins.images().push(NAME, print)


def test_a_push_that_cannot_be_checked_is_an_unknown_outcome(stand_ins: StandIns) -> None:
    stand_ins.pushed()
    stand_ins.registry.faults.add(Fault(FaultKind.STATUS, "HEAD .*/manifests/", skip=1))
    with pytest.raises(OutcomeUnknown, match="could not be checked"):
        stand_ins.images().push(NAME, print)


def test_a_failed_push_that_cannot_be_checked_is_an_unknown_outcome(stand_ins: StandIns) -> None:
    stand_ins.pushed()
    stand_ins.engine.misbehave(Trouble(TroubleKind.PUSH_ERROR))
    stand_ins.registry.faults.add(Fault(FaultKind.STATUS, "HEAD .*/manifests/", skip=1))
    with pytest.raises(OutcomeUnknown, match="may have changed"):
        stand_ins.images().push(NAME, print)


def test_a_build_that_fails_at_a_step_says_so_and_leaves_the_old_image(stand_ins: StandIns) -> None:
    stand_ins.pushed()
    old = stand_ins.images().local_id(NAME)
    text = "The command '/bin/sh -c apt-get' returned a non-zero code: 100"
    stand_ins.engine.misbehave(Trouble(TroubleKind.BUILD_ERROR, "^RUN", text))
    with pytest.raises(PermanentError, match="non-zero code: 100"):
        stand_ins.build()
    assert stand_ins.images().local_id(NAME) == old
    assert len(stand_ins.engine.builds) == 1


def test_a_build_cut_off_may_be_tried_again(stand_ins: StandIns) -> None:
    stand_ins.engine.misbehave(Trouble(TroubleKind.BUILD_CUT))
    context = stand_ins.context()
    with pytest.raises(TransientError):
        stand_ins.images().build(context, print)
    assert stand_ins.images().build(context, print)


def test_a_build_that_ends_early_without_an_error_is_no_build(stand_ins: StandIns) -> None:
    stand_ins.pushed()
    stand_ins.engine.faults.add(Fault(FaultKind.HTML, "POST .*/build"))
    with pytest.raises(TransientError):
        stand_ins.build()
    assert stand_ins.images().local_id(NAME) == stand_ins.engine.builds[0].image_id


def test_a_pull_with_an_error_in_its_stream_does_not_pass_for_the_old_image(stand_ins: StandIns) -> None:
    digest = stand_ins.pushed()
    stand_ins.engine.misbehave(Trouble(TroubleKind.PULL_ERROR, text="unexpected EOF"))
    with pytest.raises(TransientError, match="unexpected EOF"):
        stand_ins.images().pullable(NAME, digest)


def test_a_pull_that_never_asked_the_registry_proves_nothing(stand_ins: StandIns) -> None:
    digest = stand_ins.pushed()
    stand_ins.engine.misbehave(Trouble(TroubleKind.PULL_LIE))
    with pytest.raises(TransientError, match="without proof"):
        stand_ins.images().pullable(NAME, digest)


def test_an_image_of_which_the_registry_lost_a_layer_cannot_be_pulled_though_the_engine_has_it(
    stand_ins: StandIns,
) -> None:
    digest = stand_ins.pushed()
    image = stand_ins.engine.images.find(f"{stand_ins.registry.prefix}{NAME}:latest")
    assert image is not None
    stand_ins.registry.lose(NAME, image.layers[-1].digest)
    with pytest.raises(NotFound, match="lost a part"):
        stand_ins.images().pullable(NAME, digest)


@pytest.mark.parametrize(
    ("kind", "said"), [(TroubleKind.PULL_ERROR, "unexpected EOF"), (TroubleKind.PULL_LIE, "without proof")]
)
@pytest.mark.parametrize("base", [Base("debian:buster", Origin.ELSEWHERE), Base(NAME)])
def test_a_base_that_was_not_pulled_does_not_pass_for_the_one_that_the_engine_has(
    stand_ins: StandIns, base: Base, kind: TroubleKind, said: str
) -> None:
    stand_ins.pushed()
    stand_ins.engine.misbehave(Trouble(kind, base.name, "unexpected EOF"))
    with pytest.raises(TransientError, match=said):
        stand_ins.images().fetch(base, print)


def test_a_base_of_docker_hub_is_pulled_though_the_engine_has_an_older_one(stand_ins: StandIns) -> None:
    base = Base("debian:buster", Origin.ELSEWHERE)
    old = stand_ins.images().fetch(base, print)
    newer = stand_ins.engine.renew("debian:buster")
    assert stand_ins.images().fetch(base, print) == newer != old


def test_the_login_of_the_registry_is_shown_to_no_other(stand_ins: StandIns) -> None:
    images = stand_ins.images(login=lambda: LOGIN)
    images.fetch(Base("debian:buster", Origin.ELSEWHERE), print)
    stand_ins.pushed()
    images.fetch(Base(NAME), print)
    elsewhere, ours = [one for one in stand_ins.engine.requests if one.path.endswith("/images/create")]
    assert "hunter2" not in _given(elsewhere)
    assert "hunter2" in _given(ours)


def _given(request: Request) -> str:
    return base64.urlsafe_b64decode(request.headers.get("X-Registry-Auth", "")).decode()


# ---- stopped by people ------------------------------------------------------------------------------------------


def test_a_build_that_is_stopped_ends_at_once_and_had_no_effect(stand_ins: StandIns) -> None:
    stand_ins.engine.misbehave(Trouble(TroubleKind.BUILD_STALL))
    stop = Cancel()
    with pytest.raises(Aborted, match="was stopped"):
        stand_ins.images().build(stand_ins.context(), lambda _line: stop.cancel(), stop)
    assert stand_ins.images().local_id(NAME) is None
    assert stand_ins.build()


def test_a_pull_that_is_stopped_had_no_effect(stand_ins: StandIns) -> None:
    stand_ins.engine.misbehave(Trouble(TroubleKind.PULL_LIE))
    stop = Cancel()
    with pytest.raises(Aborted, match="nothing was built"):
        stand_ins.images().fetch(Base("debian:buster", Origin.ELSEWHERE), lambda _line: stop.cancel(), stop)


def test_a_push_that_is_stopped_is_an_unknown_outcome(stand_ins: StandIns) -> None:
    stand_ins.build()
    stand_ins.engine.misbehave(Trouble(TroubleKind.PUSH_STALL))
    stop = Cancel()
    with pytest.raises(OutcomeUnknown, match="stopped in the middle"):
        stand_ins.images().push(NAME, lambda _line: stop.cancel(), stop)
    assert stand_ins.images().pushed_digest(NAME) is None


def test_a_build_that_fails_while_nobody_stops_it_is_no_stop(stand_ins: StandIns) -> None:
    stand_ins.engine.misbehave(Trouble(TroubleKind.BUILD_CUT))
    with pytest.raises(TransientError):
        stand_ins.images().build(stand_ins.context(), print, Cancel())


# ---- looks never say "no" for "I could not see" -----------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.STATUS, "/manifests/", times=9, status=500),
        Fault(FaultKind.STATUS, "/manifests/", times=9, status=404),
        Fault(FaultKind.STATUS, "/manifests/", times=9, status=429),
        Fault(FaultKind.HTML, "/manifests/", times=9),
        Fault(FaultKind.RESET_BEFORE, "/manifests/", times=9),
        Fault(FaultKind.TRUNCATED, "GET .*/manifests/", times=9),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_registry_that_answers_badly_is_not_one_without_the_image(stand_ins: StandIns, fault: Fault) -> None:
    stand_ins.registry.faults.add(fault)
    with pytest.raises(TransientError):
        stand_ins.images().digest(NAME)


@pytest.mark.parametrize("kind", [FaultKind.STATUS, FaultKind.HTML, FaultKind.RESET_BEFORE, FaultKind.TRUNCATED])
def test_an_engine_that_answers_badly_is_not_one_without_the_image(stand_ins: StandIns, kind: FaultKind) -> None:
    stand_ins.pushed()
    stand_ins.engine.faults.add(Fault(kind, "GET .*/images/"))
    with pytest.raises(TransientError):
        stand_ins.images().local_id(NAME)


def test_a_lost_answer_to_setting_back_is_an_unknown_outcome(stand_ins: StandIns) -> None:
    digest = stand_ins.pushed()
    for kind in (FaultKind.RESET_AFTER, FaultKind.STATUS):
        stand_ins.registry.faults.add(Fault(kind, "PUT .*/manifests/"))
        with pytest.raises(OutcomeUnknown):
            stand_ins.images().retag(NAME, digest)


def test_servers_that_are_not_there_are_named_and_had_no_effect(stand_ins: StandIns) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
        no_engine = DockerImages(closed, stand_ins.registry.url, stand_ins.registry.prefix)
        with pytest.raises(TransientError, match=f"The Docker engine at {closed} .*Is it running"):
            no_engine.push(NAME, print)
        with pytest.raises(TransientError, match=f"The image registry at {closed} cannot be reached"):
            DockerImages(stand_ins.engine.url, closed, stand_ins.registry.prefix).push(NAME, print)
    no_socket = DockerImages(f"unix://{stand_ins.folder}/none.sock", stand_ins.registry.url, "")
    with pytest.raises(TransientError, match="nothing listens there"):
        no_socket.local_id("kernelci/base")


def test_an_engine_that_falls_silent_is_not_waited_for_for_ever(stand_ins: StandIns) -> None:
    digest = stand_ins.pushed()
    images = DockerImages(stand_ins.engine.url, stand_ins.registry.url, stand_ins.registry.prefix, timeout_seconds=1)
    stand_ins.engine.faults.add(Fault(FaultKind.HANG, "POST .*/images/create"))
    with pytest.raises(TransientError):
        images.pullable(NAME, digest)
    stand_ins.engine.faults.add(Fault(FaultKind.HANG, "POST .*/push"))
    with pytest.raises(OutcomeUnknown):
        images.push(NAME, print)


def test_names_without_a_prefix_are_asked_of_the_registry_as_they_are(stand_ins: StandIns) -> None:
    digest = stand_ins.engine.seed("kernelci/debos")
    assert DockerImages(stand_ins.engine.url, stand_ins.registry.url, "").digest("kernelci/debos") == digest


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert stand_ins.pushed()


def test_addresses_that_are_none_or_hold_a_login_are_refused() -> None:
    for engine, registry in [
        ("ssh://host", "http://host"),
        ("http://host:1", "host:2"),
        ("http://host:1", "https://bot:secret@host:2"),
    ]:
        with pytest.raises(ConfigError) as caught:
            DockerImages(engine, registry, "host:2/")
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="must end with a slash"):
        DockerImages("http://host:1", "http://host:2", "host:2")


# ---- logins -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=list(AuthScheme))
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandIns]:
    with _started(tmp_path, RegistryStandIn(LOGIN, request.param)) as started:
        yield started


def test_with_its_login_everything_works(guarded: StandIns) -> None:
    images = guarded.images(login=lambda: LOGIN)
    images.build(guarded.context(), print)
    digest = images.push(NAME, print)
    images.pullable(NAME, digest)
    images.retag(NAME, digest)
    assert images.digest(NAME) == digest


def test_a_wrong_login_or_none_is_a_permanent_error_that_does_not_tell_it(guarded: StandIns) -> None:
    guarded.engine.seed(NAME, LOGIN)
    for login in (lambda: ("bot", "wr0ng"), None):
        images = guarded.images(login=login)
        images.build(guarded.context(), print)
        with pytest.raises(PermanentError) as caught:
            images.push(NAME, print)
        assert "wr0ng" not in str(caught.value)
    assert guarded.engine.pushes == []


def test_whoever_may_pull_without_a_login_may_look(tmp_path: Path) -> None:
    with _started(tmp_path, RegistryStandIn(LOGIN, AuthScheme.BEARER)) as started:
        digest = started.engine.seed("kernelci/debos", LOGIN)
        assert started.images().digest("kernelci/debos") == digest
