"""Docker images: names, order, and what must be built again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot_commands.rules.dockerfiles import (
    NAMING_2019,
    NAMING_2021,
    Image,
    Naming,
    all_images,
    build_order,
    by_hand,
    dockerfiles,
    images,
    parents_of,
    stand_on,
    to_rebuild,
)
from kcibot_commands.rules.problem import RuleError

ROOT = "jenkins/dockerfiles/"
DIRS = ["build-base", "clang-8", "clang-9", "debos"] + [
    f"gcc-{version}_{arch}" for version in (7, 8) for arch in ("arc", "arm", "arm64", "mips", "riscv64", "x86")
]
YEAR_2019 = {
    f"{ROOT}{name}/Dockerfile": "FROM debian:buster\n"
    if name in ("build-base", "debos")
    else "FROM kernelci/build-base\n"
    for name in DIRS
}


def names(found):
    return [image.name for image in found]


def test_the_sixteen_images_of_2019_have_their_names_and_the_base_comes_first():
    found = names(images(YEAR_2019))
    assert len(found) == 16
    assert found[:2] == ["kernelci/build-base", "kernelci/debos"]
    assert "kernelci/build-gcc-8_riscv64" in found
    assert "kernelci/build-clang-9" in found


def test_from_2021_an_image_is_called_like_its_directory():
    assert NAMING_2021.image("gcc-8_arm") == "kernelci/gcc-8_arm"
    assert NAMING_2019.image("gcc-8_arm") == "kernelci/build-gcc-8_arm"
    assert Naming(prefix="kernelci/staging-").image("qemu") == "kernelci/staging-qemu"


def test_only_dockerfiles_of_a_folder_count_and_the_newer_place_wins():
    paths = [
        "config/docker/qemu/Dockerfile",
        "jenkins/dockerfiles/qemu/Dockerfile",
        "jenkins/dockerfiles/Dockerfile.gcc-7_arm",
        "jenkins/dockerfiles/qemu/data/Dockerfile",
        "Dockerfile",
    ]
    assert dockerfiles(paths) == {"qemu": "config/docker/qemu/Dockerfile"}


@pytest.mark.parametrize(
    ("text", "parents"),
    [
        ("FROM debian:buster\n", ("debian:buster",)),
        ("FROM kernelci/build-base:latest\nRUN x\n", ("kernelci/build-base",)),
        ("ARG PREFIX=kernelci/\nFROM ${PREFIX}build-base\n", ("staging/build-base",)),
        ("ARG BASE=kernelci/qemu\nFROM $BASE\n", ("kernelci/qemu",)),
        ("FROM ${NOT_SET}x", ("${NOT_SET}x",)),
        ("FROM ${NOT_SET:-debian}", ("debian",)),
        ("# FROM old\nfrom --platform=linux/amd64 \\\n   debian:buster as one\n", ("debian:buster",)),
        ("FROM a AS build\nFROM scratch\nCOPY --from=build /x /x\nCOPY --chown=0 --from=c/d /y /\n", ("a", "c/d")),
        ("FROM a\nFROM b\nCOPY --from=0 /x /x", ("a", "b")),
        ("RUN echo FROM here", ()),
    ],
)
def test_what_an_image_stands_on_is_read_from_its_dockerfile(text, parents):
    assert parents_of(text, {"PREFIX": "staging/"}) == parents


def test_a_changed_base_rebuilds_all_that_stand_on_it_and_says_why():
    found = to_rebuild(images(YEAR_2019), [f"{ROOT}build-base/Dockerfile", "kernelci/build.py"])
    assert len(found) == 15
    assert found[0].image.name == "kernelci/build-base"
    assert found[0].reasons == ("jenkins/dockerfiles/build-base/Dockerfile changed",)
    assert found[1].reasons == ("it is built FROM kernelci/build-base",)
    assert "kernelci/debos" not in names(one.image for one in found)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        (f"{ROOT}gcc-8_arm/Dockerfile", 1),
        (f"{ROOT}gcc-8_arm/scripts/setup.sh", 1),
        (f"{ROOT}build-and-push.sh", 0),
        (f"{ROOT}README.md", 0),
        (f"{ROOT}gcc-6.3.0_mips/Dockerfile", 0),  # dropped
        (f"{ROOT}base/debian.jinja2", 16),  # in doubt, all
        ("jenkins/build.jpl", 0),
    ],
)
def test_a_changed_path_rebuilds_what_it_belongs_to(path, count):
    assert len(to_rebuild(images(YEAR_2019), [path])) == count


TEMPLATE = "config/docker/gcc-10.jinja2"


@pytest.mark.parametrize(
    ("found", "paths", "left"),
    [
        ((), [TEMPLATE], (TEMPLATE,)),
        (images(YEAR_2019), [TEMPLATE, f"{ROOT}gcc-8_arm/Dockerfile"], (TEMPLATE,)),
        ((), ["config/docker/data/list.txt"], ("config/docker/data/list.txt",)),
        (images(YEAR_2019), [f"{ROOT}gcc-8_arm/sources.jinja2", f"{ROOT}data/list.txt"], ()),
        ((), [f"{ROOT}README.md", f"{ROOT}build-and-push.sh", f"{ROOT}gcc-8_arm/Dockerfile", "jenkins/build.jpl"], ()),
    ],
)
def test_what_no_dockerfile_of_its_folder_builds_is_left_to_people(found, paths, left):
    """From 2022-08 on the images are made of templates: no Dockerfile changes, and yet the images do."""
    assert by_hand(found, paths) == left


def test_what_stands_on_images_that_were_chosen_is_named_with_its_base():
    left = stand_on(images(YEAR_2019), ["kernelci/build-base", "kernelci/build-clang-9"])
    assert left["kernelci/build-gcc-8_arm"] == "kernelci/build-base"
    assert len(left) == 13
    chain = [Image("a", "a", ""), Image("b", "b", "", ("a",)), Image("c", "c", "", ("b",))]
    assert stand_on(chain, ["a"]) == {"b": "a", "c": "b"}
    assert stand_on(chain, ["c"]) == {}


def test_all_can_be_asked_for():
    assert {one.reasons for one in all_images(images(YEAR_2019), "newest packages wanted")} == {
        ("newest packages wanted",)
    }


def test_a_circle_is_refused_and_named():
    ring = [Image("a", "a", "", ("b",)), Image("b", "b", "", ("a",))]
    with pytest.raises(RuleError, match=r"circle: .*a.*b"):
        build_order(ring)


@given(st.permutations(range(6)), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_parents_always_come_before_their_children(order, edges):
    parents = {n: tuple(f"i{low}" for low, high in edges if high == n and low < n) for n in range(6)}
    built = names(build_order([Image(f"d{n}", f"i{n}", "", parents[n]) for n in order]))
    assert sorted(built) == [f"i{n}" for n in range(6)]
    assert all(built.index(parent) < built.index(f"i{n}") for n in range(6) for parent in parents[n])
