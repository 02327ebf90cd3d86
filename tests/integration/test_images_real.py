"""Images over a real Docker engine and a real registry: a release, its bad moments, and the way back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from kcibot.core.cancel import Cancel
from kcibot.core.ports import Base, ImageBuild, ImageRegistry, Origin
from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import RunState, StepState
from kcibot.errors import Aborted, NotFound, PermanentError
from kcibot.services.images.adapter import DockerImages
from kcibot_commands import runs
from kcibot_commands.images import back as images_back
from kcibot_commands.images import verbs as images
from kcibot_commands.images.verbs import build_images, push_images
from kcibot_commands.plan.steps import plan
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import (
    PRODUCTION,
    Followed,
    Kernelci,
    alerts,
    kernelci,
    killed,
    result,
    revive,
    start,
    with_ports,
)
from tests.servers import docker as servers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

RELEASE = Procedure("release", plan, build_images, Gate("images", "Push the images"), push_images)
PROMPT = "run:1:gate:images:1"
BASE, GCC, CLANG = "kernelci/build-base", "kernelci/build-gcc-10_x86", "kernelci/build-clang-11"
RELEASED = [BASE, CLANG, GCC]
LOGIN = ("bot", "correct-horse")


@dataclass
class Docker:
    """The engine and the registry of this module, and the machine as it was before them."""

    engine_url: str
    registry: servers.RegistryServer
    before: dict[str, object]
    stack: ExitStack = field(default_factory=ExitStack)

    def images(self) -> DockerImages:
        return docker_images(self.engine_url, self.registry)

    def client(self) -> Any:
        return docker.APIClient(self.engine_url, version="1.41")

    @property
    def debian(self) -> str:
        """A base from elsewhere: this registry under a name that is not ours, since no other can be reached."""
        return f"{self.registry.host}debian:buster"

    def renew_debian(self, content: str) -> str:
        """Somebody pushes a new base; its id. The engine keeps the one that it has."""
        client = self.client()
        old = client.inspect_image("debian:buster")["Id"]
        command = ["sh", "-c", f"echo {content} > /new"]
        container = client.create_container("debian:buster", command, network_disabled=True)
        client.start(container)
        client.wait(container)
        new = str(client.commit(container, self.debian.removesuffix(":buster"), "buster")["Id"])
        client.remove_container(container)
        push(client, self.debian)
        client.tag(old, self.debian.removesuffix(":buster"), "buster")
        return new


def docker_images(engine: str, registry: servers.RegistryServer, login: servers.Login | None = None) -> DockerImages:
    given = (lambda: login) if login else None
    return DockerImages(engine, registry.url, registry.host, 30.0, given, network_mode="none")


def push(client: Any, name: str) -> None:
    failed = [line for line in client.push(name, stream=True, decode=True) if "error" in line]
    assert not failed


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("no-login")))
        before = machine()
        registry = stack.enter_context(servers.registry())
        there = Docker(stack.enter_context(servers.engine()), registry, before, stack)
        there.client().tag("debian:buster", there.debian.removesuffix(":buster"), "buster")
        push(there.client(), there.debian)
        yield there


@pytest.fixture(autouse=True)
def _no_login_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def place(tmp_path: Path, running: Docker) -> Iterator[Kernelci]:
    """KernelCI with three small images to build: two stand on the third, which has changed."""
    with kernelci(tmp_path) as there:
        same = dict.fromkeys(("debos", "qemu", "gcc-10_arm64"), f"FROM {running.debian}\nRUN echo a > /a\n")
        same |= dict.fromkeys(("clang-11", "gcc-10_x86"), "ARG PREFIX\nFROM ${PREFIX}build-base\nRUN echo b > /b\n")
        for branch, base in (PRODUCTION, "echo old > /base"), ("main", "date +%N > /base"):
            texts = {**same, "build-base": f"FROM {running.debian}\nRUN {base}\n"}
            files = {f"config/docker/{name}/Dockerfile": text for name, text in texts.items()}
            there.commit("core", files, "Small images", branch)
        yield there


def bench_of(place: Kernelci, port: object) -> Bench:
    return place.bench(images, images_back, runs, ports=with_ports(place.ports, images=port))


def digests(running: Docker, names: list[str] = RELEASED) -> dict[str, str | None]:
    port: ImageRegistry = running.images()
    return {name: port.digest(name) for name in names}


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.01)


# ---- a release -------------------------------------------------------------------------------------------------


def test_a_release_builds_all_then_pushes_and_each_is_pulled_by_its_digest(place: Kernelci, running: Docker) -> None:
    bench = bench_of(place, running.images())
    before = digests(running)
    run = start(bench, RELEASE)
    built = result(bench, run, build_images)
    assert list(built.ids) == RELEASED
    assert list(built.bases) == [running.debian]
    assert digests(running) == before
    bench.react("operator", PROMPT)
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert result(bench, bench.run(), push_images).after == digests(running)
    base = running.client().inspect_image(built.ids[BASE])["RootFS"]["Layers"]
    for child in (GCC, CLANG):
        assert running.client().inspect_image(built.ids[child])["RootFS"]["Layers"][: len(base)] == base


def test_what_the_engine_no_longer_has_is_really_pulled(running: Docker, tmp_path: Path) -> None:
    port, client, name = running.images(), running.client(), "kernelci/travels"
    image_id = port.build(context(tmp_path, running, name), print)
    digest = port.push(name, print)
    client.remove_image(image_id, force=True)
    with pytest.raises(docker.errors.ImageNotFound):
        client.inspect_image(image_id)
    port.pullable(name, digest)
    assert client.inspect_image(f"{running.registry.host}{name}@{digest}")["Id"] == image_id


def test_a_build_that_fails_last_pushes_nothing(place: Kernelci, running: Docker) -> None:
    broken = "FROM kernelci/build-base\nRUN exit 3\n"
    place.commit("core", {"config/docker/gcc-10_x86/Dockerfile": broken}, "A broken image")
    before, bench = digests(running), bench_of(place, running.images())
    run = start(bench, RELEASE)
    assert run.step("build-images").state is StepState.FAILED
    text = run.step("build-images").text
    assert text.startswith(f"Building {GCC} failed after 'Step 2/2 : RUN exit 3': ")
    assert text.endswith("returned a non-zero code: 3")
    assert f"Done by this step itself: build {BASE} and build {CLANG}." in alerts(bench)
    assert digests(running) == before


def test_a_newer_base_is_pulled_before_building(running: Docker, tmp_path: Path) -> None:
    port, name = running.images(), "kernelci/fresh"
    newer = running.renew_debian("newer")
    base = Base(running.debian, Origin.ELSEWHERE)
    digest = port.fetch(base, print)
    assert running.client().inspect_image(running.debian)["Id"] == newer
    assert f"{running.debian.removesuffix(':buster')}@{digest}" in running.client().inspect_image(newer)["RepoDigests"]
    layers = running.client().inspect_image(port.build(context(tmp_path, running, name), print))["RootFS"]["Layers"]
    assert layers[:-1] == running.client().inspect_image(newer)["RootFS"]["Layers"]


def context(folder: Path, running: Docker, name: str, step: str = "date +%N > /now") -> ImageBuild:
    (folder / "Dockerfile").write_text(f"FROM {running.debian}\nRUN {step}\n")
    return ImageBuild(name, folder)


# ---- bad moments -----------------------------------------------------------------------------------------------


def test_a_registry_that_is_killed_in_the_middle_of_a_push_and_comes_back(running: Docker, tmp_path: Path) -> None:
    port, name, old = running.images(), "kernelci/cut", ""
    for megabytes in (1, 48):
        port.build(context(tmp_path, running, name, f"dd if=/dev/urandom of=/big bs=1M count={megabytes}"), print)
        if not old:
            old = port.push(name, print)
    killer = threading.Thread(target=killed_and_started, args=(running.registry, name))
    killer.start()
    digest = port.push(name, print)
    killer.join()
    assert port.digest(name) == digest != old
    port.pullable(name, digest)


def killed_and_started(registry: servers.RegistryServer, name: str) -> None:
    until(lambda: any(file.stat().st_size > 1_000_000 for file in registry.uploads(name).glob("*/data")))
    registry.kill()
    registry.start()


def test_a_registry_that_dies_between_two_pushes(place: Kernelci, running: Docker) -> None:
    dies = Followed(running.images(), "pullable", running.registry.kill)
    bench = bench_of(place, dies)
    before = digests(running)
    start(bench, RELEASE)
    bench.react("operator", PROMPT)
    cut = bench.run().step("push-images")
    running.registry.start()
    assert cut.state is not StepState.DONE
    first = digests(running)
    assert {name: first[name] == before[name] for name in RELEASED} == {BASE: False, CLANG: True, GCC: True}
    assert bench.journal.recall("image-digests")["1"] == {
        "before": {BASE: before[BASE] or ""},
        "after": {BASE: first[BASE]},
        "since": place.head("core", PRODUCTION),
    }
    for _ in range(3):
        bench.tick(timedelta(minutes=1))
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    after = digests(running)
    assert after[BASE] == first[BASE], "it was not pushed twice"
    assert {after[name] == before[name] for name in (CLANG, GCC)} == {False}
    recorded = bench.journal.recall("image-digests")["1"]
    assert isinstance(recorded, dict)
    assert recorded["before"] == {name: digest or "" for name, digest in before.items()}
    assert recorded["after"] == after


def test_a_bot_that_is_killed_after_a_push_does_not_push_again(place: Kernelci, running: Docker) -> None:
    moved = Followed(running.images(), "push", killed(place))
    first = bench_of(place, moved)
    start(first, RELEASE)
    first.react("operator", PROMPT)
    pushed = digests(running)[BASE]
    revive(place, first)
    again = Followed(running.images(), "push", lambda: None)
    second = place.bench(procedures=[RELEASE], ports=with_ports(place.ports, images=again))
    second.engine.resume()
    assert second.run().state is RunState.SUCCEEDED
    assert again.calls == len(RELEASED) - 1
    assert digests(running)[BASE] == pushed


def test_a_blob_that_the_registry_lost_is_noticed_though_the_engine_has_the_layer(
    running: Docker, tmp_path: Path
) -> None:
    port, name = running.images(), "kernelci/loses"
    port.build(context(tmp_path, running, name), print)
    digest = port.push(name, print)
    port.pullable(name, digest)
    running.registry.blob(layers_of(running, name)[-1]).unlink()
    with pytest.raises(NotFound, match="lost a part"):
        port.pullable(name, digest)
    assert not port.keeps(name, digest)


def layers_of(running: Docker, name: str) -> list[str]:
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    manifest = requests.get(f"{running.registry.url}/v2/{name}/manifests/latest", headers=accept, timeout=5).json()
    return [layer["digest"] for layer in manifest["layers"]]


def test_a_stopped_build_ends_at_once_on_the_engine_too(running: Docker, tmp_path: Path) -> None:
    port, name, stop = running.images(), "kernelci/stopped", Cancel()
    request = context(tmp_path, running, name, "sleep 100")
    threading.Thread(target=lambda: (until(lambda: running.client().containers()), stop.cancel())).start()
    with pytest.raises(Aborted, match="was stopped"):
        port.build(request, print, stop)
    until(lambda: not running.client().containers())
    assert port.local_id(name) is None


# ---- logins ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(running: Docker) -> Iterator[servers.RegistryServer]:
    with servers.registry(LOGIN) as registry:
        yield registry


def test_with_the_right_login_an_image_is_pushed_pulled_and_set_back(
    running: Docker, guarded: servers.RegistryServer, tmp_path: Path
) -> None:
    port, name = docker_images(running.engine_url, guarded, LOGIN), "kernelci/guarded"
    pushed = []
    for _ in range(2):
        port.build(context(tmp_path, running, name), print)
        pushed.append(port.push(name, print))
        port.pullable(name, pushed[-1])
    assert port.fetch(Base(name), print) == pushed[1]
    port.retag(name, pushed[0])
    assert port.digest(name) == pushed[0] != pushed[1]


@pytest.mark.parametrize("login", [("bot", "wr0ng-battery"), ("b0t", "correct-horse"), None])
def test_without_or_with_a_wrong_login_the_push_is_refused_and_the_login_not_told(
    running: Docker, guarded: servers.RegistryServer, tmp_path: Path, login: servers.Login | None
) -> None:
    name = "kernelci/refused"
    port = docker_images(running.engine_url, guarded, login)
    port.build(context(tmp_path, running, name), print)
    with pytest.raises(PermanentError) as caught:
        port.push(name, print)
    assert not any(word in str(caught.value) for word in ("battery", "horse", "b0t"))
    with pytest.raises(PermanentError):
        port.digest(name)
    assert docker_images(running.engine_url, guarded, LOGIN).digest(name) is None


# ---- the way back ----------------------------------------------------------------------------------------------


ALONE = ["kernelci/debos", "kernelci/qemu"]


def pushed_alone(bench: Bench) -> int:
    """Both are built and pushed again; the number of the run."""
    bench.say("operator", "!images push debos qemu")
    return approved(bench)


def approved(bench: Bench) -> int:
    number = bench.journal.runs(1)[0].id
    bench.react("operator", f"run:{number}:gate:images:1")
    assert bench.run(number).state is RunState.SUCCEEDED, alerts(bench)
    return number


def test_images_go_back_to_the_recorded_digests_and_can_be_pulled(place: Kernelci, running: Docker) -> None:
    bench = bench_of(place, running.images())
    pushed_alone(bench)
    before = digests(running, ALONE)
    run = pushed_alone(bench)
    assert not set(before.values()) & set(digests(running, ALONE).values())
    bench.say("operator", "!images rollback")
    approved(bench)
    assert digests(running, ALONE) == before
    assert bench.run(run + 1).step("images-back").text == "2 images back, each pulled by its digest"


def test_an_image_that_others_pushed_since_is_not_set_back(place: Kernelci, running: Docker, tmp_path: Path) -> None:
    bench, port = bench_of(place, running.images()), running.images()
    pushed_alone(bench)
    before = digests(running, ALONE)
    run = pushed_alone(bench)
    port.build(context(tmp_path, running, "kernelci/qemu"), print)
    theirs = port.push("kernelci/qemu", print)
    bench.say("operator", f"!images rollback {run}")
    approved(bench)
    assert digests(running, ALONE) == {**before, "kernelci/qemu": theirs}
    assert "somebody pushed it since" in bench.run(run + 1).step("images-back").text


# ---- the machine -----------------------------------------------------------------------------------------------


def machine() -> dict[str, object]:
    """What a Docker engine is apt to change."""
    mounts = {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()}
    return {
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "links": sorted(link.name for link in Path("/sys/class/net").iterdir()),
        "mounts": sorted(mount for mount in mounts if "/kci-engine-" in mount or "docker" in mount),
    }


def test_the_machine_is_left_as_it_was(running: Docker) -> None:
    """The last one: it ends the engine and the registry of this module."""
    running.stack.close()
    assert machine() == running.before
