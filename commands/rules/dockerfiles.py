"""Docker images: which exist, what they are called, in which order they are built, and which must be built again.

KernelCI's procedure, step 7: build and push all again if a Dockerfile changed, in doubt always. An image built FROM
another is only as new as that other, so a changed base rebuilds all that stand on it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from kcibot_commands.rules.problem import RuleError

ROOTS = ("config/docker", "jenkins/dockerfiles")
_DOCKERFILE = re.compile(r"(?P<root>config/docker|jenkins/dockerfiles)/(?P<dir>[^/]+)/Dockerfile")
_IN_ROOT = re.compile(r"(?:config/docker|jenkins/dockerfiles)/(?P<rest>.+)")
_TEMPLATE = ".jinja2"
_NO_CONTENT = re.compile(r"build-and-push\.sh|README(\.\w+)?")
_ARG = re.compile(r"ARG\s+(?P<name>\w+)(?:=(?P<value>\S*))?", re.IGNORECASE)
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE)
_COPY_FROM = re.compile(r"COPY\s+(?:--\S+\s+)*?--from=(?P<image>\S+)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<bare>\w+))")


@dataclass(frozen=True, slots=True)
class Naming:
    """How a directory's name becomes an image's: prefix + `build-` + directory, without `build-` for `plain` ones."""

    prefix: str = "kernelci/"
    infix: str = "build-"
    plain: frozenset[str] = frozenset({"build-base", "build-k8s", "debos", "dt-validation", "qemu"})

    def image(self, directory: str) -> str:
        """The image's name without a tag: KernelCI pushes `latest` only."""
        return self.prefix + directory if directory in self.plain else self.prefix + self.infix + directory


NAMING_2019 = Naming()
"""`kernelci/build-gcc-8_arm`, but `kernelci/build-base` and `kernelci/debos`; holds until 2021-10."""

NAMING_2021 = Naming(infix="")
"""From 2021-10 on an image is called like its directory."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image; `parents` are the images named in its Dockerfile, ours or not, without `:latest`."""

    directory: str
    name: str
    path: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rebuild:
    """An image to build, and why."""

    image: Image
    reasons: tuple[str, ...]


def dockerfiles(paths: Iterable[str]) -> Mapping[str, str]:
    """Directory name -> path of its Dockerfile; `config/docker` wins over the place of 2019."""
    found: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: path.startswith(ROOTS[0])):
        match = _DOCKERFILE.fullmatch(path)
        if match:
            found[match["dir"]] = path
    return dict(sorted(found.items()))


def images(texts: Mapping[str, str], naming: Naming = NAMING_2019) -> tuple[Image, ...]:
    """The images of a revision, in building order; `texts` maps Dockerfile paths to their contents."""
    found = [
        Image(directory, naming.image(directory), path, parents_of(texts[path], {"PREFIX": naming.prefix}))
        for directory, path in dockerfiles(texts).items()
    ]
    return build_order(found)


def parents_of(text: str, arguments: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The images a Dockerfile stands on or copies from; `arguments` are those given to the build.

    Stages of its own are no parents. A variable nobody sets is left as it is written.
    """
    given, values = arguments or {}, dict[str, str]()
    stages: set[str] = set()
    found: list[str] = []
    for line in _instructions(text):
        if argument := _ARG.match(line):
            name = argument["name"]
            values[name] = given.get(name, _filled(argument["value"] or "", values).strip("\"'"))
        elif base := _FROM.match(line):
            found += _outside(base["image"], values, stages)
            stages |= {base["stage"].lower()} if base["stage"] else set()
        elif copied := _COPY_FROM.match(line):
            found += _outside(copied["image"], values, stages)
    return tuple(dict.fromkeys(found))


def _instructions(text: str) -> Iterable[str]:
    lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return (line for line in "\n".join(lines).replace("\\\n", " ").split("\n") if line)


def _outside(image: str, values: Mapping[str, str], stages: set[str]) -> tuple[str, ...]:
    name = _filled(image, values)
    if name.lower() in stages or name == "scratch" or name.isdigit():
        return ()
    return (name.removesuffix(":latest"),)


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return values.get(match["braced"] or match["bare"]) or match["default"] or match[0]

    return _VARIABLE.sub(value, text)


def build_order(found: Iterable[Image]) -> tuple[Image, ...]:
    """Parents before children, otherwise by name; parents that are not ours are taken from outside.

    RuleError if images stand on each other in a circle.
    """
    by_name = {image.name: image for image in sorted(found, key=lambda image: image.name)}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for image in by_name.values():
        sorter.add(image.name, *(parent for parent in image.parents if parent in by_name))
    try:
        sorter.prepare()
    except CycleError as error:
        raise RuleError(f"the Dockerfiles stand on each other in a circle: {' -> '.join(error.args[1])}") from error
    order: list[Image] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += [by_name[name] for name in ready]
        sorter.done(*ready)
    return tuple(order)


def by_hand(found: Sequence[Image], changed_paths: Iterable[str]) -> tuple[str, ...]:
    """The changed paths whose images cannot be built from a Dockerfile of their folder.

    Since 2022-08 KernelCI keeps templates (`config/docker/gcc-10.jinja2`) of which its own tool makes the Dockerfiles.
    """
    shared = [path for path in changed_paths if _is_shared(path) and not _own(path, found)]
    return tuple(path for path in shared if path.endswith(_TEMPLATE) or not found)


def to_rebuild(found: Sequence[Image], changed_paths: Iterable[str]) -> tuple[Rebuild, ...]:
    """What changed paths call for, in building order, each with its reasons.

    A file beside the images' own folders (shared data) calls for all: in doubt, always.
    """
    direct: dict[str, list[str]] = {}
    for path in changed_paths:
        for image in _touched(path, found):
            direct.setdefault(image.name, []).append(f"{path} changed")
    reasons: dict[str, list[str]] = {}
    for image in build_order(found):
        inherited = [f"it is built FROM {name}" for name in image.parents if name in reasons]
        if image.name in direct or inherited:
            reasons[image.name] = direct.get(image.name, []) + inherited
    return tuple(Rebuild(image, tuple(reasons[image.name])) for image in build_order(found) if image.name in reasons)


def all_images(found: Sequence[Image], reason: str) -> tuple[Rebuild, ...]:
    """Every image, in building order, for one reason."""
    return tuple(Rebuild(image, (reason,)) for image in build_order(found))


def stand_on(found: Sequence[Image], chosen: Iterable[str]) -> Mapping[str, str]:
    """Image -> the one it is built FROM, of all that stand on the chosen ones without being chosen."""
    changed, left = set(chosen), dict[str, str]()
    for image in build_order(found):
        base = next((parent for parent in image.parents if parent in changed), "")
        if base and image.name not in changed:
            left[image.name] = base
            changed.add(image.name)
    return left


def _is_shared(path: str) -> bool:
    """Whether it lies among the images, and is more than a script or an explanation of them."""
    inside = _IN_ROOT.fullmatch(path)
    return inside is not None and not _NO_CONTENT.fullmatch(inside["rest"]) and not _DOCKERFILE.fullmatch(path)


def _touched(path: str, found: Sequence[Image]) -> tuple[Image, ...]:
    # The Dockerfile of a folder that holds no image any more: the image was dropped.
    return _own(path, found) or (tuple(found) if _is_shared(path) else ())


def _own(path: str, found: Sequence[Image]) -> tuple[Image, ...]:
    return tuple(image for image in found if path.startswith(image.path.removesuffix("Dockerfile")))
