"""How names of images are read."""

import pytest

from kcibot.services.images.names import Reference, has_host

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("name", "repository", "reference"),
    [
        ("debian", "debian", "latest"),
        ("debian:buster", "debian", "buster"),
        ("kernelci/build-base", "kernelci/build-base", "latest"),
        ("127.0.0.1:5000/kernelci/build-base", "127.0.0.1:5000/kernelci/build-base", "latest"),
        ("registry.example.org:5000/debian:buster", "registry.example.org:5000/debian", "buster"),
        (f"debian@{DIGEST}", "debian", DIGEST),
        (f"localhost/debian:buster@{DIGEST}", "localhost/debian", DIGEST),
    ],
)
def test_a_name_has_a_repository_and_a_tag_or_a_digest(name: str, repository: str, reference: str) -> None:
    read = Reference.parse(name)
    assert (read.repository, read.reference) == (repository, reference)
    assert read.is_digest == reference.startswith("sha256:")
    assert Reference.parse(read.named(repository)) == read


@pytest.mark.parametrize(
    ("name", "expected"),
    [("debian", False), ("kernelci/debos", False), ("localhost/x", True), ("host:1/x", True), ("example.org/x", True)],
)
def test_a_registrys_host_is_told_from_a_namespace_as_docker_does(name: str, expected: bool) -> None:
    assert has_host(name) is expected
