"""Images: what a release builds and in which order, what is approved, and what counts as pushed."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import Run, RunState, StepState
from kcibot.sandbox.docker_engine.facts import Trouble, TroubleKind
from kcibot_commands import runs
from kcibot_commands.images import back as images_back
from kcibot_commands.images import verbs as images
from kcibot_commands.images.verbs import ImagesSettings, Rebuilding, build_images, push_images
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import open_production, push_core, take_production_lock
from kcibot_commands.report import steps as report
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
WHOLE = Procedure("release", plan, take_production_lock, push_core, build_images, push_images, open_production)
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


def poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.01)


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


def test_a_base_that_is_newer_where_it_comes_from_is_pulled_before_building(place: Kernelci) -> None:
    bench = place.bench()
    start(bench, RELEASE)
    old = place.engine.builds[0].base_id
    newer = place.engine.renew("debian:buster")
    run = start(bench, RELEASE)
    assert place.engine.builds[len(CHANGED)].base_id != old
    assert result(bench, run, build_images).bases == {"debian:buster": newer}
    assert f"built FROM debian:buster as it is now, {newer[7:17]}" in lines(bench, "run:2:gate:images:1")


def test_one_image_alone_stands_on_the_base_that_is_in_production(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("operator", "!images build build-base")
    assert bench.run().state is RunState.SUCCEEDED, "the engine has a newer base, which nobody has pushed"
    bench.say("operator", "!images build gcc-10_x86")
    assert bench.run(2).state is RunState.SUCCEEDED
    base, child = place.engine.builds
    assert child.base_id != base.image_id
    assert result(bench, bench.run(2), build_images).bases == {
        "kernelci/build-base": place.registry.digest("kernelci/build-base")
    }


def test_a_base_that_cannot_be_pulled_fails_the_build_though_the_engine_has_an_older_one(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("operator", "!images build debos")
    place.engine.misbehave(Trouble(TroubleKind.PULL_ERROR, "debian:bullseye", "unexpected EOF", times=4))
    bench.say("operator", "!images build debos")
    for _ in range(3):
        bench.tick(timedelta(minutes=5))
    assert state(bench.run(2), "build-images") == (
        StepState.FAILED,
        "Pulling debian:bullseye failed: unexpected EOF",
    )
    assert built(place) == ["kernelci/debos"]


def test_bases_are_left_as_the_engine_has_them_where_that_is_configured(place: Kernelci) -> None:
    place.engine.misbehave(Trouble(TroubleKind.PULL_ERROR, "debian", times=99))
    bench = place.bench(images, sections=[ImagesSettings(pull_bases=False)])
    bench.say("operator", "!images build debos")
    assert bench.run().state is RunState.SUCCEEDED
    assert result(bench, bench.run(), build_images).bases == {}


def test_the_prefix_of_the_images_is_given_to_their_builds(place: Kernelci) -> None:
    text = "ARG PREFIX=kernelci/\nFROM ${PREFIX}build-base\n"
    place.commit("core", {"config/docker/clang-11/Dockerfile": text}, "a prefix")
    bench = place.bench(sections=[ImagesSettings(prefix="kernelci/staging-")])
    start(bench, RELEASE)
    by_name = {one.name: one for one in place.engine.builds}
    base = by_name["kernelci/staging-build-base"]
    assert by_name["kernelci/staging-build-clang-11"].base_id == base.image_id


def test_a_changed_template_is_not_taken_for_no_change(place: Kernelci) -> None:
    """2022-08: the Dockerfiles were replaced by templates, of which another tool makes them."""
    place.commit("core", {"config/docker/gcc-12.jinja2": "FROM debian\n"}, "a template")
    bench = place.bench(images, runs)
    bench.say("observer", "!images plan")
    assert "stops: core: config/docker/gcc-12.jinja2 changed, and no Dockerfile" in answer(bench)
    run = start(bench, RELEASE)
    said = state(run, "build-images")
    assert said[0] is StepState.FAILED
    assert said[1].endswith("so I cannot build them: build and push them by hand")
    assert built(place) == []
    bench.say("operator", "!release skip build-images they were built by hand")
    assert bench.run(run.id).state is RunState.SUCCEEDED


def test_a_reason_is_told_once_though_it_is_new_in_two_ways(place: Kernelci) -> None:
    bench = place.bench(runs)
    start(bench, Procedure("release", plan, Gate("go", "Go"), build_images, push_images, title="Release"))
    (ask,) = bench.journal.open_asks()
    assert "  build kernelci/build-base: config/docker/build-base/Dockerfile changed" in ask.display


def test_images_that_were_skipped_are_built_by_the_next_release(place: Kernelci) -> None:
    bench = place.bench(runs)
    place.engine.misbehave(Trouble(TroubleKind.BUILD_ERROR, "libelf", "exit 1, non-zero code: 1", times=4))
    start(bench, WHOLE)
    for _ in range(3):
        bench.tick(timedelta(minutes=5))
    bench.say("operator", "!release skip build-images the mirror of Debian is down")
    assert bench.run().state is RunState.SUCCEEDED
    assert built(place) == []
    place.commit("core", {"README.md": "words\n"}, "README.md: words")
    assert start(bench, WHOLE).state is RunState.SUCCEEDED
    assert set(pushed(place)) == CHANGED, "nothing of this release, all of the last one"
    place.commit("core", {"README.md": "more\n"}, "README.md: more")
    assert state(start(bench, WHOLE), "build-images") == (StepState.NOT_NEEDED, "no Dockerfile changed")


def test_a_stop_ends_a_build_at_once_and_it_can_go_on(place: Kernelci) -> None:
    place.engine.misbehave(Trouble(TroubleKind.BUILD_STALL, "build-base"))
    bench = place.bench(runs)
    stopped_in(bench, place, "/build")
    assert bench.run().holds
    assert built(place) == []
    bench.say("operator", "!release continue")
    assert bench.run().state is RunState.WAITING, "for the gate"
    assert set(built(place)) == CHANGED


def test_a_stop_ends_a_push_at_once_and_it_is_looked_for_before_it_is_pushed_again(place: Kernelci) -> None:
    place.engine.misbehave(Trouble(TroubleKind.PUSH_STALL, "build-base"))
    bench = place.bench(runs)
    stopped_in(bench, place, "/push", AT_ONCE)
    assert bench.run().holds
    assert pushed(place) == []
    bench.say("operator", "!release continue")
    for _ in range(4):
        bench.tick(timedelta(minutes=1))
    assert bench.run().state is RunState.SUCCEEDED
    assert set(pushed(place)) == CHANGED


def stopped_in(bench: Bench, place: Kernelci, request: str, procedure: Procedure = RELEASE) -> None:
    """Start a run that falls silent in that request, and stop it there."""
    running = threading.Thread(target=start, args=(bench, procedure))
    running.start()
    poll(lambda: any(one.path.endswith(request) for one in place.engine.requests))
    bench.say("operator", "!stop")
    running.join(30)
    assert not running.is_alive()


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
    base = "kernelci/build-base"
    assert f"push {base}, built with the id {ids[base][7:17]}, replacing the digest {old[7:17]}" in shown
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
    since = place.head("core", PRODUCTION)
    assert bench.journal.recall("image-digests") == {
        "1": {"before": found.before, "after": found.after, "since": since}
    }


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


@pytest.mark.parametrize("kind", [TroubleKind.PULL_ERROR, TroubleKind.PULL_LIE])
def test_an_image_that_cannot_be_pulled_back_is_no_success_and_is_not_pushed_twice(
    place: Kernelci, kind: TroubleKind
) -> None:
    old = place.registry.digest("kernelci/build-base")
    place.engine.misbehave(Trouble(kind, "build-base@", "unexpected EOF", times=4))
    bench = place.bench(runs)
    start(bench, AT_ONCE)
    for _ in range(3):
        bench.tick(timedelta(minutes=5))
    assert state(bench.run(), "push-images")[0] is StepState.FAILED
    assert pushed(place) == ["kernelci/build-base"]
    recorded = bench.journal.recall("image-digests")["1"]
    assert isinstance(recorded, dict)
    assert recorded["before"] == {"kernelci/build-base": old}, "there is a way back"
    bench.say("operator", "!release retry")
    assert bench.run().state is RunState.SUCCEEDED
    assert sorted(pushed(place)) == sorted(CHANGED)


def test_the_report_names_old_and_new_digest_of_every_image(place: Kernelci) -> None:
    bench = place.bench(runs)
    old = place.registry.digest("kernelci/build-base")
    start(bench, Procedure("release", plan, build_images, push_images, report.report))
    new = place.registry.digest("kernelci/build-base")
    assert old
    assert new
    told = lines(bench, "run:1:report:1:report")
    assert f"Images, old and new digest: kernelci/build-base {old[7:17]} -> {new[7:17]}, kernelci/" in told


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


def test_all_images_can_be_asked_for_by_that_word(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("operator", "!images build all")
    assert set(built(place)) == CHANGED | {"kernelci/debos", "kernelci/qemu"}


def test_a_base_that_is_pushed_alone_leaves_its_children_on_the_old_one_and_that_is_said(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("operator", "!images push build-base")
    shown = lines(bench, PROMPT)
    assert "not rebuilt, though it is built FROM kernelci/build-base: kernelci/build-gcc-10_x86" in shown
    assert "debos" not in shown


def test_an_image_that_is_no_longer_the_approved_one_names_the_verb_that_helps(place: Kernelci) -> None:
    bench = place.bench(images)
    bench.say("operator", "!images push debos")
    bench.say("operator", "!images build debos")
    bench.react("operator", PROMPT)
    assert "!release retry build-images --run 1 builds and asks again" in state(bench.run(), "push-images")[1]


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


def test_the_status_says_who_pushed_what_and_what_it_replaced(place: Kernelci) -> None:
    bench = place.bench(images, images_back)
    old = place.registry.digest("kernelci/debos")
    push_alone(bench, "debos")
    new = place.registry.digest("kernelci/debos")
    bench.say("observer", "!images status")
    assert f"kernelci/debos: {new}, by run 1, replacing {old}" in answer(bench, 2)
    other = place.engine.seed("kernelci/debos")
    bench.say("observer", "!images status")
    assert f"kernelci/debos: {other}, set back after run 1 pushed {new}" in answer(bench, 3)
    place.registry._repositories["kernelci/debos"] = place.registry._repositories["kernelci/build-base"]
    bench.say("observer", "!images status")
    assert f", not by me: run 1 pushed {new}" in answer(bench, 4)


# ---- going back ------------------------------------------------------------------------------------------------


def push_alone(bench: Bench, *names: str) -> int:
    """Build and push these; the number of the run."""
    bench.say("operator", f"!images push {' '.join(names)}")
    number = bench.journal.runs(1)[0].id
    bench.react("operator", f"run:{number}:gate:images:1")
    assert bench.run(number).state is RunState.SUCCEEDED, alerts(bench)
    return number


def test_images_pushed_alone_can_be_set_back_after_an_approval_under_the_lock(place: Kernelci) -> None:
    bench = place.bench(images, images_back)
    old = place.registry.digest("kernelci/debos")
    push_alone(bench, "debos")
    new = place.registry.digest("kernelci/debos")
    assert old
    assert new
    bench.say("operator", "!images rollback")
    assert f"kernelci/debos: {new[7:17]} -> {old[7:17]}" in lines(bench, "run:2:gate:images:1")
    assert place.registry.digest("kernelci/debos") == new
    bench.react("operator", "run:2:gate:images:1")
    assert bench.run(2).state is RunState.SUCCEEDED, alerts(bench)
    assert place.registry.digest("kernelci/debos") == old
    assert bench.journal.recall("lock") == {}


def test_after_going_back_the_next_release_builds_those_images_again(place: Kernelci) -> None:
    bench = place.bench(images, images_back, runs)
    start(bench, WHOLE)
    bench.say("operator", "!images rollback 1")
    bench.react("operator", "run:2:gate:images:1")
    assert bench.run(2).state is RunState.SUCCEEDED, alerts(bench)
    place.commit("core", {"README.md": "words\n"}, "README.md: words")
    start(bench, WHOLE)
    assert sorted(pushed(place)) == sorted([*CHANGED, *CHANGED])


def test_what_cannot_be_set_back_is_said_at_once(place: Kernelci) -> None:
    bench = place.bench(images, images_back, runs)
    bench.say("operator", "!images rollback")
    bench.say("operator", "!images push debos")
    bench.say("operator", "!images rollback 1")
    assert bench.replies()[-2:] == [
        "No run has pushed an image yet",
        "Images is under way: !release abort REASON --run 1 ends it first",
    ]
    start(bench, AT_ONCE)
    bench.say("operator", "!images rollback")
    assert "!release rollback takes all of it back, !images rollback 2 its images alone" in bench.replies()[-1]
