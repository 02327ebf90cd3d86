"""How the engine stand-in keeps images and names them, and what it tells a checker."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import docker
import pytest
import requests

from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.docker_engine.engine import DockerEngineStandIn
from kcibot.sandbox.docker_engine.images import ImageStore, Reference, base_image, layer_of
from kcibot.sandbox.registry import RegistryStandIn, sha256


@pytest.mark.parametrize(
    ("text", "host", "path", "tag", "full"),
    [
        ("debian", "", "debian", "latest", "debian:latest"),
        ("docker.io/library/debian:buster", "", "debian", "buster", "debian:buster"),
        ("kernelci/build-base", "", "kernelci/build-base", "latest", "kernelci/build-base:latest"),
        ("127.0.0.1:5000/kernelci/x", "127.0.0.1:5000", "kernelci/x", "latest", "127.0.0.1:5000/kernelci/x:latest"),
        ("host.example.org/x:1", "host.example.org", "x", "1", "host.example.org/x:1"),
        ("127.0.0.1:5000/x@sha256:ab", "127.0.0.1:5000", "x", "latest", "127.0.0.1:5000/x@sha256:ab"),
    ],
)
def test_names_are_read_as_docker_reads_them(text: str, host: str, path: str, tag: str, full: str) -> None:
    reference = Reference.parse(text)
    assert (reference.host, reference.path, reference.tag, str(reference)) == (host, path, tag, full)


def test_an_image_is_named_by_the_digest_of_its_config_and_a_layer_by_that_of_its_bytes() -> None:
    image = base_image("debian:buster")
    assert image.id == sha256(image.config)
    assert image.layers[0].digest == sha256(image.layers[0].blob)
    assert layer_of({"a": b"1"}) == layer_of({"a": b"1"}) != layer_of({"a": b"2"})


def test_an_image_is_found_by_every_name_and_by_its_id() -> None:
    store, image = ImageStore(), base_image("debian:buster")
    store.keep(image, "debian:buster", f"host:1/debian@{image.id}")
    for name in ("debian:buster", "docker.io/debian:buster", f"host:1/debian@{image.id}", image.id, image.short):
        assert store.find(name) is image
    assert store.find("debian") is None
    assert store.find("sha256:" + "f" * 64) is None


def test_an_image_goes_with_its_last_name() -> None:
    store, image = ImageStore(), base_image("debian:buster")
    store.keep(image, "one:latest", "two:latest")
    assert store.drop("one") == [{"Untagged": "one:latest"}]
    assert store.drop("two") == [{"Untagged": "two:latest"}, {"Deleted": image.id}]
    assert store.drop("two") == []


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerEngineStandIn]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "Dockerfile").write_text("FROM debian:buster\nRUN make\n")
    clock = SandboxClock.create(tmp_path / "clock", rate=1000)
    with RegistryStandIn() as registry, DockerEngineStandIn(registry, clock, build_seconds=20) as engine:
        yield engine


def test_what_was_built_and_pushed_can_be_asked_with_its_times(engine: DockerEngineStandIn, tmp_path: Path) -> None:
    name = f"{engine.registry.prefix}kernelci/build-base"
    with docker.APIClient(engine.url, version="auto") as client:
        lines = list(client.build(str(tmp_path), tag=f"{name}:latest", nocache=True, decode=True))
        *_, last = client.push(name, tag="latest", stream=True, decode=True)
    (built,) = engine.builds
    assert {"aux": {"ID": built.image_id}} in lines
    assert (built.name, built.base, built.no_cache) == ("kernelci/build-base", "debian:buster", True)
    assert built.base_id == base_image("debian:buster").id
    assert timedelta(seconds=20) <= built.ended - built.started < timedelta(minutes=10)
    (pushed,) = engine.pushes
    assert (pushed.name, pushed.digest) == ("kernelci/build-base", last["aux"]["Digest"])
    assert engine.registry.digest("kernelci/build-base") == pushed.digest


def test_an_older_release_can_be_put_into_the_registry(engine: DockerEngineStandIn) -> None:
    digest = engine.seed("kernelci/debos")
    assert engine.registry.digest("kernelci/debos") == digest
    assert (engine.builds, engine.pushes, engine.images.all()) == ([], [], ())


def test_the_sdk_can_look_around(engine: DockerEngineStandIn) -> None:
    engine.seed("kernelci/debos")
    name = f"{engine.registry.prefix}kernelci/debos"
    client = docker.DockerClient(engine.url, version="auto")
    assert client.ping()
    assert client.version()["ApiVersion"] == "1.41"
    assert client.info()["Images"] == 0
    image = client.images.pull(name, tag="latest")
    digest = client.images.get_registry_data(name).id
    assert image.attrs["RepoDigests"] == [f"{name}@{digest}"]
    assert [each.id for each in client.images.list()] == [image.id]
    client.images.remove(name)
    assert client.images.list() == []
    for missing in (f"{engine.registry.prefix}kernelci/nope", f"{engine.registry.prefix}kernelci/debos@{image.id}"):
        with pytest.raises(docker.errors.NotFound):
            client.images.pull(missing)
    client.close()


def test_a_name_without_a_registry_has_none_to_go_to(engine: DockerEngineStandIn) -> None:
    answer = requests.post(
        f"{engine.url}/images/create", params={"fromImage": "kernelci/x", "tag": "latest"}, timeout=5
    )
    assert answer.status_code == 500
    assert "no such host" in answer.json()["message"]
