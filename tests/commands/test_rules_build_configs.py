"""Build configs as the pipe cleaner needs them."""

from pathlib import Path

import pytest
import yaml

from kcibot_commands.rules.build_configs import BuildConfig, full_sets, names, resolve
from kcibot_commands.rules.problem import Problem, RuleError

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "kernelci"
TEXT = """\
trees:
  gtucker: {url: 'https://gitlab.collabora.com/gtucker/linux.git'}
  mainline: {url: 'git://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git'}
build_configs_defaults:
  gcc-8:
    build_environment: gcc-8
    fragments: [debug]
    architectures: {arm: {base_defconfig: multi_v7_defconfig}, arm64: , x86_64: {}}
stable_variants: &stable_variants
  gcc-8:
    build_environment: gcc-8
    architectures: {arm: {extra_configs: [allnoconfig]}, arm64: }
build_configs:
  gtucker_stable: {tree: gtucker, branch: kernelci-stable, variants: *stable_variants}
  mainline: {tree: mainline, branch: master}
  next:
    tree: mainline
    branch: master
    variants:
      gcc-8: {build_environment: gcc-8, architectures: {mips: }}
      clang-9: {build_environment: clang-9, architectures: {arm64: }}
"""


def document(text=TEXT):
    return yaml.safe_load(text)


def test_a_build_config_is_resolved_to_its_tree_branch_and_architectures():
    found = resolve(document(), "gtucker_stable")
    assert isinstance(found, BuildConfig)
    assert (found.tree, found.branch, found.reduced) == ("gtucker", "kernelci-stable", True)
    assert found.url == "https://gitlab.collabora.com/gtucker/linux.git"
    assert found.architectures == ("arm", "arm64")


def test_without_variants_the_defaults_are_built():
    found = resolve(document(), "mainline")
    assert (found.architectures, found.reduced) == (("arm", "arm64", "x86_64"), False)
    assert found.variants[0].fragments == ("debug",)


def test_what_a_reduced_config_leaves_out_is_named():
    assert resolve(document(), "gtucker_stable").left_out == ("gcc-8 (x86_64)", "fragment debug (arm, arm64)")
    assert resolve(document(), "mainline").left_out == ()


def test_without_defaults_nobody_knows_what_a_reduced_config_leaves_out():
    without = document()
    del without["build_configs_defaults"]
    assert resolve(without, "gtucker_stable").left_out == ()


def test_the_full_sets_of_a_tree_are_those_that_leave_nothing_out_first_of_the_same_branch():
    more = document()
    more["build_configs"]["gtucker"] = {"tree": "gtucker", "branch": "for-kernelci"}
    more["build_configs"]["gtucker_full"] = {"tree": "gtucker", "branch": "kernelci-stable"}
    more["build_configs"]["gtucker_clang"] = {**more["build_configs"]["next"], "tree": "gtucker"}
    found = full_sets(more, resolve(more, "gtucker_stable"))
    assert [one.name for one in found] == ["gtucker_full", "gtucker"]


def test_the_deeper_defaults_of_later_years_are_read():
    deeper = document()
    deeper["build_configs_defaults"] = {"reference": {}, "variants": deeper["build_configs_defaults"]}
    assert resolve(deeper, "mainline").architectures == ("arm", "arm64", "x86_64")


def test_architectures_of_all_variants_count():
    found = resolve(document(), "next")
    assert found.architectures == ("arm64", "mips")
    assert [variant.environment for variant in found.variants] == ["gcc-8", "clang-9"]


def test_an_unknown_name_gets_its_nearest():
    problem = resolve(document(), "gtucker-stable")
    assert isinstance(problem, Problem)
    assert problem.text == "there is no build config gtucker-stable; did you mean gtucker_stable?"
    assert resolve(document(), "xyzzy").text == "there is no build config xyzzy; there are 3 others"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{tree: gtucker,", "{tree: nobody,", "the tree nobody, which is not listed"),
        ("{tree: gtucker,", "{", "gtucker_stable has no tree"),
        ("branch: kernelci-stable, ", "", "gtucker_stable has no branch"),
        ("url: 'https://gitlab.collabora.com/gtucker/linux.git'", "", "the tree gtucker has no url"),
        ("variants: *stable_variants", "variants: [a]", "variants of gtucker_stable must be a mapping"),
        ("variants: *stable_variants", "variants: {gcc-8: {}}", "has no architectures"),
        (
            "variants: *stable_variants",
            "variants: {gcc-8: {build_environment: gcc-8, architectures: {arm: }, fragments: debug}}",
            "fragments of the variant gcc-8 must be a list",
        ),
        ("trees:", "woods:", "the file has no trees"),
    ],
)
def test_a_malformed_file_is_explained(old, new, says):
    problem = resolve(document(TEXT.replace(old, new, 1)), "gtucker_stable")
    assert problem.rule == "malformed"
    assert says in problem.text


def test_a_file_without_build_configs_is_refused():
    with pytest.raises(RuleError):
        names({})
    assert resolve({}, "x").rule == "malformed"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real YAML files are not beside this repository")
@pytest.mark.parametrize(("folder", "count"), [("seed-era", 89), ("2019", 97)])
def test_every_real_build_config_resolves(folder, count):
    parsed = yaml.safe_load((DATA / folder / "build-configs.yaml").read_text(encoding="utf-8"))
    found = [resolve(parsed, name) for name in names(parsed)]
    assert len(found) == count
    assert all(isinstance(one, BuildConfig) and one.architectures for one in found)
    assert not [one.name for one in found if one.reduced != bool(one.left_out)]
    stable = resolve(parsed, "gtucker_stable")
    assert stable.reduced
    assert "allmodconfig (arm64, x86_64)" in stable.left_out
    assert full_sets(parsed, stable) == ()
    assert len(stable.architectures) == 7
