"""Images: what a release builds and in which order, what is approved, and what counts as pushed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.docker_engine_facts import Trouble, TroubleKind
from kcibot_commands import images, runs
from kcibot_commands.images import ImagesSettings, Rebuilding, build_images, push_images
from kcibot_commands.plan import plan
from kcibot_commands.production import push_core, take_production_lock
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import (
    PRODUCTION,
    Followed,
    Kernelci,
    alerts,
    kernelci,
    killed,
    lines,
    result,
    revive,
    start,
    stuck,
    with_ports,
)

GATE = Gate("images", "Push the images")
RELEASE = Procedure("release", plan, build_images, GATE, push_images)
AT_ONCE = Procedure("release", plan, build_images, push_images)
PROMPT = "run:1:gate:images:1"
CHANGED = {
    "kernelci/build-base",
    "kernelci/build-clang-11",
    "kernelci/build-gcc-10_arm64",
    "kernelci/build-gcc-10_x86",
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def built(place: Kernelci) -> list[str]:
    return [one.name.removesuffix(":latest") for one in place.engine.builds]


def pushed(place: Kernelci) -> list[str]:
    return [one.name.removesuffix(":latest") for one in place.engine.pushes]


def state(run: Run, step_id: str) -> tuple[StepState, str]:
    return run.step(step_id).state, run.step(step_id).text


def answer(bench: Bench, run_id: int = 1) -> str:
    return lines(bench, f"run:{run_id}:answer")


# ---- building --------------------------------------------------------------------------------------------------


def test_a_changed_base_is_built_first_and_all_that_stand_on_it_after_it(place: Kernelci) -> None:
    bench = place.bench()
    run = start(bench, RELEASE)
    assert set(built(place)) == CHANGED
    assert built(place)[0] == "kernelci/build-base"
    base = place.engine.builds[0].image_id
    assert {one.base_id for one in place.engine.builds[1:]} == {base}, "each stands on the base that was just built"
    assert state(run, "build-images") == (StepState.DONE, f"4 images from {place.head('core')[:10]}")


def test_images_are_built_without_cache_unless_configured(place: Kernelci) -> None:
    start(place.bench(), RELEASE)
    assert all(one.no_cache for one in place.engine.builds)
    start(place.bench(sections=[ImagesSettings(no_cache=False)]), RELEASE)
    assert not any(one.no_cache for one in place.engine.builds[4:])


def test_everything_is_built_where_that_is_configured(place: Kernelci) -> None:
    start(place.bench(sections=[ImagesSettings(rebuild=Rebuilding.ALL)]), RELEASE)
    assert set(built(place)) == CHANGED | {"kernelci/debos", "kernelci/qemu"}


def test_without_a_changed_dockerfile_nothing_is_built_asked_or_pushed(place: Kernelci) -> None:
    place.git("core", "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
    place.commit("core", {"README.md": "words\n"}, "README.md: words")
    run = start(place.bench(), RELEASE)
    assert run.state is RunState.SUCCEEDED
    assert state(run, "build-images") == (StepState.NOT_NEEDED, "no Dockerfile changed")
    assert state(run, "push-images") == (StepState.NOT_NEEDED, "no image was built")
    assert built(place) == []


def test_a_failing_build_pushes_nothing(place: Kernelci) -> None:
    place.engine.misbehave(Trouble(TroubleKind.BUILD_ERROR, "clang", "E: Unable to locate package clang-11", times=4))
    bench = place.bench(runs)
    start(bench, AT_ONCE)
    for _ in range(3):
        bench.tick(timedelta(minutes=5))
    run = bench.run()
    assert state(run, "build-images")[0] is StepState.FAILED
    assert "Unable to locate package clang-11" in state(run, "build-images")[1]
    assert pushed(place) == []
    done = built(place)
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED
    assert [built(place).count(name) for name in done] == [1] * len(done), "what was built is not built again"


def test_a_circle_of_dockerfiles_is_said_in_a_sentence(place: Kernelci) -> None:
    place.commit("core", {"config/docker/build-base/Dockerfile": "FROM kernelci/build-clang-11\n"}, "a circle")
    run = start(place.bench(), RELEASE)
    assert state(run, "build-images")[0] is StepState.FAILED
    assert "the Dockerfiles stand on each other in a circle" in state(run, "build-images")[1]


def test_an_amended_release_still_builds_what_the_first_revision_called_for(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, Procedure("release", plan, take_production_lock, push_core, build_images, stuck()))
    bench.say("operator", "!release amend")
    assert state(bench.run(), "push-core")[0] is StepState.NOT_NEEDED
    assert state(bench.run(), "build-images")[0] is StepState.DONE


# ---- pushing ---------------------------------------------------------------------------------------------------


def test_the_gate_shows_each_image_and_what_it_replaces(place: Kernelci) -> None:
    bench = place.bench()
    run = start(bench, RELEASE)
    ids = result(bench, run, build_images).ids
    old = place.registry.digest("kernelci/build-base")
    assert old
    shown = lines(bench, PROMPT)
    assert f"push kernelci/build-base {ids['kernelci/build-base'][7:17]}, replacing {old[7:17]}" in shown
    assert pushed(place) == []


def test_the_registry_has_the_pushed_digests_and_the_old_ones_are_recorded(place: Kernelci) -> None:
    bench = place.bench()
    run = start(bench, RELEASE)
    before = {name: place.registry.digest(name) for name in CHANGED}
    bench.react("operator", PROMPT)
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    found = result(bench, run, push_images)
    assert found.before == before
    assert found.after == {name: place.registry.digest(name) for name in CHANGED}
    assert not set(found.after.values()) & set(before.values())
    assert bench.journal.recall("image-digests") == {"1": {"before": found.before, "after": found.after}}


def test_an_image_that_was_built_anew_after_the_approval_is_asked_about_again(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, RELEASE)
    bench.say("operator", "!release retry build-images")
    bench.react("operator", PROMPT)
    if bench.run().state is not RunState.SUCCEEDED:
        bench.react("operator", "run:1:gate:images:2")
    assert bench.run().state is RunState.SUCCEEDED
    newest = {one.name: one.image_id for one in place.engine.builds}
    assert {one.name: one.image_id for one in place.engine.pushes} == newest


def test_an_image_that_changed_under_its_name_is_not_pushed(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, RELEASE)
    other = place.engine.images.find(f"{place.registry.prefix}kernelci/build-base:latest")
    assert other
    place.engine.images.keep(other, f"{place.registry.prefix}kernelci/build-clang-11:latest")
    bench.react("operator", PROMPT)
    said = state(bench.run(), "push-images")
    assert said[0] is StepState.FAILED
    assert "the engine's kernelci/build-clang-11 is no longer the image that was approved" in said[1]
    assert "kernelci/build-clang-11" not in pushed(place)


def test_a_registry_that_got_another_image_after_the_approval_is_asked_about_again(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, RELEASE)
    place.engine.seed("kernelci/debos")
    place.registry._repositories["kernelci/build-base"] = place.registry._repositories["kernelci/debos"]
    bench.react("operator", PROMPT)
    assert bench.run().state is RunState.WAITING
    assert pushed(place) == []


def test_a_push_that_lies_is_noticed_and_tried_again(place: Kernelci) -> None:
    place.engine.misbehave(Trouble(TroubleKind.PUSH_LIE, "build-base"))
    bench = place.bench()
    old = place.registry.digest("kernelci/build-base")
    run = start(bench, AT_ONCE)
    assert state(run, "push-images")[0] is not StepState.DONE
    assert place.registry.digest("kernelci/build-base") == old
    for _ in range(4):
        bench.tick(timedelta(minutes=1))
    assert bench.run().state is RunState.SUCCEEDED
    assert place.registry.digest("kernelci/build-base") == result(bench, run, push_images).after["kernelci/build-base"]


def test_a_push_that_lies_for_ever_never_succeeds(place: Kernelci) -> None:
    place.engine.misbehave(Trouble(TroubleKind.PUSH_LIE, "build-base", times=99))
    bench = place.bench()
    start(bench, AT_ONCE)
    for _ in range(12):
        bench.tick(timedelta(minutes=5))
    assert state(bench.run(), "push-images")[0] in {StepState.FAILED, StepState.UNKNOWN}
    assert "kernelci/build-base" in alerts(bench)


def test_a_push_that_was_cut_off_after_its_effect_is_found(place: Kernelci) -> None:
    place.engine.misbehave(Trouble(TroubleKind.PUSH_CUT, "build-base"))
    run = start(place.bench(), AT_ONCE)
    assert run.state is RunState.SUCCEEDED
    assert "kernelci/build-base" not in pushed(place), "the engine never said so"


def test_what_was_pushed_before_a_failure_is_recorded_for_the_way_back(place: Kernelci) -> None:
    place.engine.misbehave(Trouble(TroubleKind.PUSH_ERROR, "gcc-10_x86", "denied: no", times=9))
    bench = place.bench()
    old = place.registry.digest("kernelci/build-base")
    run = start(bench, AT_ONCE)
    assert state(run, "push-images")[0] is StepState.FAILED
    recorded = bench.journal.recall("image-digests")["1"]
    assert isinstance(recorded, dict)
    assert recorded["before"]["kernelci/build-base"] == old


def test_a_bot_that_is_killed_after_a_push_does_not_push_it_again(place: Kernelci) -> None:
    moved = Followed(place.ports.images, "push", killed(place))
    first = place.bench(ports=with_ports(place.ports, images=moved))
    start(first, AT_ONCE)
    (once,) = pushed(place)
    revive(place, first)
    second = place.bench(procedures=[AT_ONCE])
    second.engine.resume()
    assert second.run().state is RunState.SUCCEEDED
    assert pushed(place).count(once) == 1
    assert len(built(place)) == len(CHANGED)


# ---- verbs -----------------------------------------------------------------------------------------------------


def test_the_plan_says_what_would_be_built_and_why_and_builds_nothing(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("observer", "!images plan")
    said = answer(bench)
    assert said.startswith(f"4 images from {place.head('core')[:10]}, without cache")
    assert "build kernelci/build-base: config/docker/build-base/Dockerfile changed" in said
    assert "build kernelci/build-clang-11: it is built FROM kernelci/build-base" in said
    assert built(place) == []


def test_images_are_pushed_alone_under_the_lock_after_an_approval(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("operator", "!images push gcc-10_x86")
    assert built(place) == ["kernelci/build-gcc-10_x86"]
    assert pushed(place) == []
    bench.react("operator", PROMPT)
    assert bench.run().state is RunState.SUCCEEDED, alerts(bench)
    assert pushed(place) == ["kernelci/build-gcc-10_x86"]
    assert bench.journal.recall("lock") == {}


def test_building_alone_takes_the_production_branch(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("operator", "!images build debos")
    assert built(place) == ["kernelci/debos"]
    assert place.head("core", PRODUCTION)[:10] in bench.run().step("build-images").text
    assert pushed(place) == []


def test_an_unknown_image_is_answered_with_the_nearest_and_all_there_are(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("operator", "!images build gcc-10_x68")
    assert "there is no image gcc-10_x68. Did you mean gcc-10_x86? There are build-base, debos, " in alerts(bench)


def test_the_status_says_what_the_registry_has(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("observer", "!images status")
    said = answer(bench)
    assert f"kernelci/debos: {place.registry.digest('kernelci/debos')}" in said
    assert "kernelci/qemu: not in the registry" in said
