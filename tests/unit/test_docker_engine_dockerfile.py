"""How the engine stand-in reads Dockerfiles and takes their steps."""

import io
import tarfile
from collections.abc import Mapping

import pytest

from kcibot.sandbox.docker_engine.dockerfile import Build, Cache, DockerfileError, StepFailed, parse, read_context
from kcibot.sandbox.docker_engine.images import Image, base_image


def _build(
    text: str, context: Mapping[str, bytes] | None = None, cache: Cache | None = None, salt: str = ""
) -> tuple[Image, str]:
    build = Build(context or {}, base_image, lambda _step: None, lambda: "now", {} if cache is None else cache, salt)
    image = build.run(parse(text))
    return image, "".join(str(line.get("stream", "")) for line in build.lines)


def test_comments_empty_lines_and_continued_lines_are_read_as_docker_does() -> None:
    text = "# base\nfrom debian:buster\n\nRUN apt-get update && \\\n  # tools\n  apt-get install -y gcc\n"
    assert [str(each) for each in parse(text)] == [
        "FROM debian:buster",
        "RUN apt-get update && apt-get install -y gcc",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be empty"),
        ("# only this\n", "cannot be empty"),
        ("RUN true\n", "no build stage in current context"),
        ("ARG A=1\n", "no build stage in current context"),
        ("FROM debian:buster\n\nFOO x\n", "parse error line 3: unknown instruction: FOO"),
    ],
)
def test_a_dockerfile_that_cannot_be_read_is_refused_in_the_engines_words(text: str, said: str) -> None:
    with pytest.raises(DockerfileError, match=said):
        parse(text)


def test_a_base_may_be_named_by_an_argument_with_its_default() -> None:
    image, said = _build("ARG BASE=debian:buster\nFROM ${BASE} AS one\nFROM one\nRUN echo hi\n")
    assert image.layers[0] == base_image("debian:buster").layers[0]
    assert "Step 4/4 : RUN echo hi\n" in said
    assert "\nhi\n" in said


def test_a_step_that_only_sets_something_adds_no_layer() -> None:
    image, _ = _build("FROM debian:buster\nENV A=b\nWORKDIR /x\nRUN make\n")
    assert len(image.layers) == len(base_image("debian:buster").layers) + 1
    assert [step.get("empty_layer", False) for step in image.document["history"]] == [False, True, True, False]


def test_same_steps_are_taken_from_the_cache_and_changed_files_are_not() -> None:
    cache: Cache = {}
    text = "FROM debian:buster\nCOPY script /bin/\nRUN /bin/script\n"
    first, _ = _build(text, {"script": b"one"}, cache)
    second, said = _build(text, {"script": b"one"}, cache)
    changed, _ = _build(text, {"script": b"two"}, cache)
    assert (first.id, said.count("Using cache")) == (second.id, 2)
    assert changed.id != first.id


def test_without_the_cache_the_same_steps_give_another_image() -> None:
    cache: Cache = {}
    first, _ = _build("FROM debian:buster\nRUN make\n", cache=cache, salt="build 1")
    second, said = _build("FROM debian:buster\nRUN make\n", cache=cache, salt="build 2")
    cached, _ = _build("FROM debian:buster\nRUN make\n", cache=cache)
    assert first.id != second.id
    assert "Using cache" not in said
    assert cached.id == second.id


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("COPY nofile /x", r"COPY failed: file not found .* stat nofile: file does not exist"),
        ("ADD scripts/no /x", r"ADD failed: file not found .* stat scripts/no: file does not exist"),
        ("COPY no*thing /x", "COPY failed: no source files were specified"),
        ('COPY ["a b", "/x"]', r"stat a b: file does not exist"),
        ("RUN make; exit 2", "The command '/bin/sh -c make; exit 2' returned a non-zero code: 2"),
        ("RUN --mount=type=cache,target=/x make", "the --mount option requires BuildKit"),
    ],
)
def test_a_step_that_fails_says_what_docker_says(line: str, said: str) -> None:
    with pytest.raises(StepFailed, match=said):
        _build(f"FROM debian:buster\n{line}\n", {"scripts/there": b""})


@pytest.mark.parametrize("source", ["scripts", "scripts/", "./scripts/build.sh", "scripts/*.sh", "."])
def test_files_folders_and_patterns_are_found_in_the_context(source: str) -> None:
    image, _ = _build(f"FROM debian:buster\nCOPY {source} /usr/bin/\n", {"scripts": b"", "scripts/build.sh": b"x"})
    assert len(image.layers) == 2


def test_what_comes_from_another_stage_or_an_address_is_not_looked_for_in_the_context() -> None:
    text = "FROM debian:buster AS one\nFROM debian:buster\nCOPY --from=one /bin/sh /x\nADD https://example.org/x /y\n"
    image, _ = _build(text)
    assert len(image.document["history"]) == 3


def test_a_context_is_read_from_the_archive_that_the_sdk_sends() -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        folder = tarfile.TarInfo("./scripts")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        file = tarfile.TarInfo("./Dockerfile")
        file.size = 4
        tar.addfile(file, io.BytesIO(b"FROM"))
    assert read_context(raw.getvalue()) == {"scripts": b"", "Dockerfile": b"FROM"}
