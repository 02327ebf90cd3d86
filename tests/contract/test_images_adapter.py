"""What the images adapter promises, over the stand-ins and, where a machine has them, a real engine and registry."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from kcibot.core.ports import Base, ImageBuild, ImageRegistry, Origin
from kcibot.errors import NotFound, PermanentError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.docker_engine.engine import DockerEngineStandIn
from kcibot.sandbox.registry import SCHEMA2, RegistryStandIn
from kcibot.services.images.adapter import DockerImages
from tests.servers import docker as servers

NOWHERE = "sha256:" + "0" * 64
INSTALL = "RUN echo install gcc\n"


@pytest.fixture(autouse=True)
def _no_login_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@dataclass
class Bench:
    """One engine with one registry. Every test has image names of its own, since real servers are shared."""

    engine_url: str
    registry_url: str
    folder: Path
    test: str
    network_mode: str | None = None

    @property
    def prefix(self) -> str:
        return self.registry_url.removeprefix("http://") + "/"

    def images(self) -> DockerImages:
        return DockerImages(self.engine_url, self.registry_url, self.prefix, 20.0, network_mode=self.network_mode)

    def name(self, image: str) -> str:
        return f"kernelci/{self.test}-{image}"

    def context(self, image: str, dockerfile: str, *bases: str, no_cache: bool = True, prefix: str = "") -> ImageBuild:
        folder = self.folder / image
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile)
        arguments = {"PREFIX": prefix} if prefix else {}
        return ImageBuild(self.name(image), folder, no_cache, arguments, tuple(Base(self.name(base)) for base in bases))

    def layers(self, name: str) -> list[str]:
        return list(self.client().inspect_image(f"{self.prefix}{name}:latest")["RootFS"]["Layers"])

    def client(self) -> Any:
        return docker.APIClient(self.engine_url, version="1.41")

    def in_registry(self, name: str) -> str:
        url = f"{self.registry_url}/v2/{name}/manifests/latest"
        return requests.head(url, headers={"Accept": SCHEMA2}, timeout=5).headers["Docker-Content-Digest"]


@pytest.fixture
def stand_ins(tmp_path: Path) -> Iterator[Bench]:
    clock = SandboxClock.create(tmp_path / "clock")
    with RegistryStandIn() as registry, DockerEngineStandIn(registry, clock) as engine:
        yield Bench(engine.url, registry.url, tmp_path, "t")


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.slow)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "stand-in":
        stand_ins: Bench = request.getfixturevalue("stand_ins")
        return stand_ins
    engine_url, registry_url = request.getfixturevalue("real_servers")
    return Bench(engine_url, registry_url, tmp_path, f"n{abs(hash(request.node.name))}", "none")


def test_a_build_is_known_by_the_id_that_the_engine_gave_it(bench: Bench) -> None:
    images: ImageRegistry = bench.images()
    assert images.local_id(bench.name("base")) is None
    said: list[str] = []
    image_id = images.build(bench.context("base", "FROM debian:buster\n" + INSTALL), said.append)
    assert images.local_id(bench.name("base")) == image_id
    assert said == [
        f"{bench.name('base')}: Step 1/2 : FROM debian:buster",
        f"{bench.name('base')}: Step 2/2 : RUN echo install gcc",
    ]


def test_without_the_cache_every_build_is_a_new_image_and_with_it_the_same(bench: Bench) -> None:
    images = bench.images()
    fresh = images.build(bench.context("base", "FROM debian:buster\n" + INSTALL), print)
    again = images.build(bench.context("base", "FROM debian:buster\n" + INSTALL), print)
    cached = images.build(bench.context("base", "FROM debian:buster\n" + INSTALL, no_cache=False), print)
    assert fresh != again
    assert cached == again


def test_a_toolchain_is_built_on_the_base_that_was_just_built(bench: Bench) -> None:
    images = bench.images()
    images.build(bench.context("base", "FROM debian:buster\nRUN echo a > /one\n"), print)
    images.build(bench.context("gcc", f"FROM {bench.name('base')}\nRUN echo b > /two\n", "base"), print)
    first = bench.layers(bench.name("gcc"))
    images.build(bench.context("base", "FROM debian:buster\nRUN echo c > /three\n"), print)
    images.build(bench.context("gcc", f"FROM {bench.name('base')}\nRUN echo b > /two\n", "base"), print)
    base, gcc = bench.layers(bench.name("base")), bench.layers(bench.name("gcc"))
    assert gcc[: len(base)] == base
    assert gcc[: len(base)] != first[: len(base)]


def test_a_base_that_only_the_registry_has_is_pulled_from_there(bench: Bench) -> None:
    images = bench.images()
    images.build(bench.context("base", "FROM debian:buster\nRUN echo a > /one\n"), print)
    images.push(bench.name("base"), print)
    base = bench.layers(bench.name("base"))
    for name in (bench.name("base"), bench.prefix + bench.name("base")):
        bench.client().remove_image(f"{name}:latest", force=True)
    images.build(bench.context("gcc", f"FROM {bench.name('base')}\nRUN echo b > /two\n", "base"), print)
    assert bench.layers(bench.name("gcc"))[: len(base)] == base


def test_a_base_that_is_newer_in_the_registry_is_taken_from_there(bench: Bench) -> None:
    images, base = bench.images(), bench.name("base")
    old = images.build(bench.context("base", "FROM debian:buster\nRUN echo a > /one\n"), print)
    bench.client().tag(old, f"{bench.prefix}{base}", "kept")
    images.build(bench.context("base", "FROM debian:buster\nRUN echo b > /one\n"), print)
    digest = images.push(base, print)
    newer = bench.layers(base)
    bench.client().tag(old, f"{bench.prefix}{base}", "latest")
    assert bench.layers(base) != newer
    assert images.fetch(Base(base), print) == digest
    images.build(bench.context("gcc", f"FROM {base}\nRUN echo c > /two\n", "base"), print)
    assert bench.layers(bench.name("gcc"))[: len(newer)] == newer


def test_a_base_that_the_registry_does_not_have_is_not_replaced_by_the_engines_or_somebody_elses(bench: Bench) -> None:
    images = bench.images()
    images.build(bench.context("base", "FROM debian:buster\n" + INSTALL), print)
    with pytest.raises(NotFound, match="build and push it, too"):
        images.fetch(Base(bench.name("base")), print)
    with pytest.raises(NotFound, match="build and push it, too"):
        images.build(bench.context("gcc", f"FROM {bench.name('never')}\n" + INSTALL, "never"), print)


def test_a_base_that_an_argument_names_is_lent_too(bench: Bench) -> None:
    images = bench.images()
    images.build(bench.context("base", "FROM debian:buster\n" + INSTALL), print)
    dockerfile = "ARG PREFIX=nobody/\nFROM ${PREFIX}base\n" + INSTALL
    images.build(bench.context("gcc", dockerfile, "base", prefix=bench.name("")), print)
    base = bench.layers(bench.name("base"))
    assert bench.layers(bench.name("gcc"))[: len(base)] == base


def test_a_base_from_elsewhere_is_fetched_by_the_name_it_has(bench: Bench) -> None:
    """Here it is another name of the same registry: no test asks one that is not on this machine."""
    images, name = bench.images(), bench.prefix + bench.name("debian")
    images.build(bench.context("debian", "FROM debian:buster\n" + INSTALL), print)
    digest = images.push(bench.name("debian"), print)
    assert images.fetch(Base(name, Origin.ELSEWHERE), print) == digest
    assert images.fetch(Base(f"{name}@{digest}", Origin.ELSEWHERE), print) == digest
    with pytest.raises(NotFound):
        images.fetch(Base(f"{name}:none", Origin.ELSEWHERE), print)


def test_the_image_that_a_build_replaced_is_let_go_and_what_others_named_is_not(bench: Bench) -> None:
    images, client = bench.images(), bench.client()
    ids = []
    for content in "abcd":
        ids.append(images.build(bench.context("base", f"FROM debian:buster\nRUN echo {content} > /f\n"), print))
        if content == "b":
            images.push(bench.name("base"), print)
        if content == "c":
            client.tag(ids[-1], f"other/{bench.test}", "kept")
    left = [image_id for image_id in ids if _known(client, image_id)]
    assert left == ids[2:], "neither the one that was never pushed nor the one that was"


def test_an_old_base_is_let_go_once_nothing_stands_on_it(bench: Bench) -> None:
    images, client, ids = bench.images(), bench.client(), []
    for content in "ab":
        ids.append(images.build(bench.context("base", f"FROM debian:buster\nRUN echo {content} > /f\n"), print))
        images.push(bench.name("base"), print)
        child = bench.context("gcc", f"FROM {bench.name('base')}\nRUN echo {content} > /g\n", "base")
        ids.append(images.build(child, print))
    assert [_known(client, image_id) for image_id in ids] == [False, False, True, True]


def _known(client: Any, image_id: str) -> bool:
    try:
        return bool(client.inspect_image(image_id))
    except docker.errors.ImageNotFound:
        return False


def test_a_failing_command_is_named_with_its_exit_code(bench: Bench) -> None:
    with pytest.raises(PermanentError, match=r"echo broken; exit 3' returned a non-zero code: 3"):
        bench.images().build(bench.context("bad", "FROM debian:buster\nRUN echo broken; exit 3\n"), print)
    assert bench.images().local_id(bench.name("bad")) is None


def test_a_file_missing_from_the_context_fails_the_build(bench: Bench) -> None:
    with pytest.raises(PermanentError, match="stat nofile: file does not exist"):
        bench.images().build(bench.context("bad", "FROM debian:buster\nCOPY nofile /f\n"), print)


def test_a_dockerfile_that_cannot_be_read_fails_the_build(bench: Bench) -> None:
    with pytest.raises(PermanentError, match="unknown instruction: FOO"):
        bench.images().build(bench.context("bad", "FROM debian:buster\nFOO bar\n"), print)
    with pytest.raises(PermanentError, match="holds no Dockerfile"):
        bench.images().build(ImageBuild(bench.name("none"), bench.folder), print)


def test_the_registry_says_when_it_has_no_image_of_a_name(bench: Bench) -> None:
    assert bench.images().digest(bench.name("nothing")) is None
    assert bench.images().pushed_digest(bench.name("nothing")) is None


def test_a_push_returns_the_digest_that_the_registry_has(bench: Bench) -> None:
    images = bench.images()
    images.build(bench.context("base", "FROM debian:buster\n" + INSTALL), print)
    assert images.pushed_digest(bench.name("base")) is None
    digest = images.push(bench.name("base"), print)
    assert digest == bench.in_registry(bench.name("base"))
    assert images.digest(bench.name("base")) == digest
    assert images.pushed_digest(bench.name("base")) == digest
    assert images.push(bench.name("base"), print) == digest


def test_an_image_that_was_never_built_cannot_be_pushed(bench: Bench) -> None:
    with pytest.raises(PermanentError, match="no local image"):
        bench.images().push(bench.name("never"), print)


def test_a_pushed_image_can_be_pulled_by_its_digest_and_no_other(bench: Bench) -> None:
    images = bench.images()
    images.build(bench.context("base", "FROM debian:buster\n" + INSTALL), print)
    digest = images.push(bench.name("base"), print)
    images.pullable(bench.name("base"), digest)
    with pytest.raises(NotFound):
        images.pullable(bench.name("base"), NOWHERE)


def test_latest_can_be_set_back_to_an_older_digest(bench: Bench) -> None:
    images = bench.images()
    digests = []
    for content in ("one", "two"):
        images.build(bench.context("base", f"FROM debian:buster\nRUN echo {content} > /f\n"), print)
        digests.append(images.push(bench.name("base"), print))
    images.retag(bench.name("base"), digests[0])
    assert bench.in_registry(bench.name("base")) == digests[0] != digests[1]
    images.pullable(bench.name("base"), digests[1])
    with pytest.raises(NotFound):
        images.retag(bench.name("base"), NOWHERE)


# ---- a real engine and registry ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_servers() -> Iterator[tuple[str, str]]:
    with servers.registry() as registry, servers.engine() as engine_url:
        yield engine_url, registry.url
