"""What the engine stand-in knows of Dockerfiles: to read them, and to take their steps in the builder's words."""

import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from kcibot.sandbox.docker_engine.images import Image, layer_of, scratch
from kcibot.sandbox.registry import sha256

_INSTRUCTIONS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"}
) | {"ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<plain>\w+))")
_STAGE = re.compile(r"(?:--platform=\S+\s+)?(?P<image>\S+)(?:\s+AS\s+(?P<alias>\S+))?", re.IGNORECASE)
_EXIT = re.compile(r"(?:.*[;&]\s*)?exit (?P<code>[1-9]\d*)")
_ECHO = re.compile(r"echo (?P<text>[^;&|>]*)")


class DockerfileError(Exception):
    """The Dockerfile cannot be read; the engine refuses the request at once. `status` is the HTTP status for it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class StepFailed(Exception):
    """A step failed in the middle of the build; `code` is the exit code of its command, if it had one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Instruction:
    word: str
    rest: str

    def __str__(self) -> str:
        return f"{self.word} {self.rest}"


def read_context(body: bytes) -> dict[str, bytes]:
    """The files of a tar archive, folders among them with empty content; `./` is taken off the names."""
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:*") as tar:
        context = {}
        for member in tar:
            name = member.name.removeprefix("./").rstrip("/")
            file = tar.extractfile(member) if member.isfile() else None
            context[name] = file.read() if file else b""
        return context


def parse(text: str) -> tuple[Instruction, ...]:
    """The instructions in order, with continued lines joined; raises `DockerfileError` in the engine's words."""
    found: list[Instruction] = []
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        first = first if pending else number
        if stripped.endswith("\\"):
            pending += stripped[:-1]
            continue
        found.append(_instruction(pending + stripped, first))
        pending = ""
    if pending:
        found.append(_instruction(pending, first))
    if not found:
        raise DockerfileError("the Dockerfile (Dockerfile) cannot be empty")
    if all(each.word == "ARG" for each in found) or next(each for each in found if each.word != "ARG").word != "FROM":
        raise DockerfileError("no build stage in current context")
    return tuple(found)


def _instruction(line: str, number: int) -> Instruction:
    word, _, rest = line.partition(" ")
    if word.upper() not in _INSTRUCTIONS:
        raise DockerfileError(f"dockerfile parse error line {number}: unknown instruction: {word.upper()}")
    return Instruction(word.upper(), rest.strip())


Cache = dict[tuple[str, str, str], Image]
"""(id before, instruction, digest of what it copied) -> the image after it."""


@dataclass
class Build:
    """One build: `run` takes the steps and leaves the stream's lines in `lines`.

    `base` finds or pulls the image of a FROM line; `check` is asked before every step. Both may raise `StepFailed`.
    `salt` is empty to use the cache, otherwise it makes what the commands "installed" differ from every other build.
    """

    context: Mapping[str, bytes]
    base: Callable[[str], Image]
    check: Callable[[str], None]
    created: Callable[[], str]
    cache: Cache
    salt: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    base_name: str = ""

    def __post_init__(self) -> None:
        self._image: Image | None = None
        self._stages: dict[str, Image] = {}
        self._variables: dict[str, str] = {}

    def run(self, instructions: tuple[Instruction, ...]) -> Image:
        """The image of the last stage."""
        for number, instruction in enumerate(instructions, 1):
            if instruction.word == "FROM" and self._image is not None:
                self.lines.append({"aux": {"ID": self._image.id}})
            self._say(f"Step {number}/{len(instructions)} : {instruction}", "\n")
            self.check(str(instruction))
            self._take(instruction)
        assert self._image is not None  # noqa: S101 (`parse` lets no Dockerfile without FROM through)
        self.lines.append({"aux": {"ID": self._image.id}})
        self._say(f"Successfully built {self._image.short}\n")
        return self._image

    def _take(self, instruction: Instruction) -> None:
        if instruction.word in {"ARG", "ENV"}:
            self._learn(instruction)
        if instruction.word == "FROM":
            self._image = self._begin(instruction.rest)
        elif self._image is not None:
            self._image = self._step(self._image, instruction)
        else:
            return
        self._say(f" ---> {self._image.short}\n")

    def _begin(self, rest: str) -> Image:
        match = _STAGE.fullmatch(self._filled(rest))
        if match is None:
            raise StepFailed(f"FROM {rest}: the name of the image cannot be read")
        name, alias = match["image"], match["alias"]
        if name in self._stages:
            image = self._stages[name]
        else:
            self.base_name = name
            image = scratch(self.created()) if name == "scratch" else self.base(name)
        self._stages[str(len(self._stages))] = image
        if alias:
            self._stages[alias] = image
        return image

    def _step(self, image: Image, instruction: Instruction) -> Image:
        copied = self._copied(instruction) if instruction.word in {"COPY", "ADD"} else {}
        sources = sha256(repr(sorted(copied.items())).encode()) if copied else ""
        key = (image.id, str(instruction), sources)
        if not self.salt and key in self.cache:
            self._say(" ---> Using cache\n")
            return self.cache[key]
        grown = self._commanded(image, instruction) if not copied else self._with(image, instruction, copied)
        self.cache[key] = grown
        return grown

    def _with(self, image: Image, instruction: Instruction, copied: Mapping[str, bytes]) -> Image:
        return image.grown(self.created(), f"/bin/sh -c #(nop) {instruction}", layer_of(copied))

    def _commanded(self, image: Image, instruction: Instruction) -> Image:
        container = sha256(f"{image.id}{instruction}{self.salt}".encode()).removeprefix("sha256:")[:12]
        if instruction.word in {"COPY", "ADD"}:  # from another stage or an address: nothing of the context
            return image.grown(self.created(), f"/bin/sh -c #(nop) {instruction}")
        self._say(f" ---> Running in {container}\n")
        if instruction.word != "RUN":
            self._say(f"Removing intermediate container {container}\n")
            return image.grown(self.created(), f"/bin/sh -c #(nop) {instruction}")
        self._command(instruction.rest)
        self._say(f"Removing intermediate container {container}\n")
        layer = layer_of({"var/lib/step": f"{instruction}\n{self.salt}\n".encode()})
        return image.grown(self.created(), f"/bin/sh -c {instruction.rest}", layer)

    def _command(self, command: str) -> None:
        if command.startswith("--mount"):
            link = "Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled"
            raise StepFailed(f"the --mount option requires BuildKit. {link}")
        echo, failing = _ECHO.match(command), _EXIT.fullmatch(command)
        if echo:
            self._say(echo["text"].strip() + "\n")
        if failing:
            code = int(failing["code"])
            raise StepFailed(f"The command '/bin/sh -c {command}' returned a non-zero code: {code}", code)

    def _copied(self, instruction: Instruction) -> dict[str, bytes]:
        words = _words(instruction.rest)
        if any(word.startswith("--from=") for word in words):
            return {}
        sources = [self._filled(word) for word in words if not word.startswith("--")][:-1]
        found: dict[str, bytes] = {}
        for source in sources:
            if not source.startswith(("http://", "https://")):
                found |= self._matching(instruction.word, source.removeprefix("./").strip("/"))
        return found

    def _matching(self, word: str, source: str) -> dict[str, bytes]:
        if source in {"", "."}:
            return dict(self.context)
        found = {
            name: content
            for name, content in self.context.items()
            if name.startswith(source + "/") or fnmatch(name, source)
        }
        if not found and any(letter in source for letter in "*?["):
            raise StepFailed(f"{word} failed: no source files were specified")
        if not found:
            missing = "file not found in build context or excluded by .dockerignore"
            raise StepFailed(f"{word} failed: {missing}: stat {source}: file does not exist")
        return found

    def _learn(self, instruction: Instruction) -> None:
        name, _, value = instruction.rest.replace("=", " ", 1).partition(" ")
        if instruction.word == "ARG":
            value = self.arguments.get(name, value)
        self._variables[name] = value.strip().strip('"')

    def _filled(self, text: str) -> str:
        return _VARIABLE.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        return self._variables.get(match["braced"] or match["plain"]) or match["default"] or ""

    def _say(self, *texts: str) -> None:
        self.lines.extend({"stream": text} for text in texts)


def _words(rest: str) -> list[str]:
    if rest.startswith("["):
        return [str(word) for word in json.loads(rest)]
    return rest.split()
