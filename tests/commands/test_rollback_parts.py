"""Rollback of images and of root file system URLs: only what is still as the release left it goes back."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kcibot.core.ports import ImageBuild
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.docker_engine.facts import Trouble, TroubleKind
from kcibot_commands.images import verbs as images
from kcibot_commands.rootfs.settings import CommitTo, RootfsSettings
from tests.fakes.kernelci_bench import Followed, alerts, killed, lines, revive, with_ports
from tests.fakes.rollback_bench import (
    WITH_IMAGES,
    Yard,
    approve,
    asked,
    gone_on,
    released,
    rolled_back,
    shown,
    texts,
    yard,
)

BASE = "kernelci/build-base"
FILE = "config/core/test-configs.yaml"
STAGING = "staging.kernelci.org"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Yard]:
    with yard(tmp_path) as made:
        yield made


# ---- images ----------------------------------------------------------------------------------------------------


def digest(there: Yard, name: str = BASE) -> str:
    found = there.place.registry.digest(name)
    assert found
    return found


def gone(there: Yard, old: str, name: str = BASE) -> None:
    """Somebody cleans up the registry."""
    url = f"{there.place.registry.url}/v2/{name}/manifests/{old}"
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE")) as answer:  # noqa: S310 (our own)
        assert answer.status == 202


def pushed_by_hand(there: Yard, name: str = BASE) -> str:
    folder = there.place.folder / "by hand"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM debian:buster\nRUN echo by hand\n")
    there.ports.images.build(ImageBuild(name, folder), lambda _text: None)
    return there.ports.images.push(name, lambda _text: None)


def test_an_image_that_others_pushed_since_is_not_set_back(there: Yard) -> None:
    bench = there.bench()
    released(bench, WITH_IMAGES)
    ours, theirs = digest(there), pushed_by_hand(there)
    run = asked(bench)
    text = f"{BASE} is {theirs[7:17]}, and the run left {ours[7:17]}: somebody pushed it since"
    assert f"{text}: left alone" in shown(bench, run)
    run = approve(bench, run)
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert text in run.step("images-back").text
    assert run.step("images-back").text.startswith("3 images back, each pulled by its digest")
    assert digest(there) == theirs


def test_an_image_that_others_push_after_the_approval_is_asked_about_again(there: Yard) -> None:
    bench = there.bench()
    released(bench, WITH_IMAGES)
    run = asked(bench)
    theirs = pushed_by_hand(there)
    run = approve(bench, run)
    assert f"{BASE} stays: was not there, is now {theirs}" in lines(bench, f"run:{run.id}:gate:rollback:1:void")
    assert digest(there) == theirs


def test_a_digest_that_is_gone_is_said_before_anybody_approves(there: Yard) -> None:
    bench = there.bench()
    before = digest(there)
    released(bench, WITH_IMAGES)
    ours = digest(there)
    gone(there, before)
    run = asked(bench)
    text = f"{BASE} cannot go back: the registry no longer has {before[7:17]}"
    assert f"{text}: left alone" in shown(bench, run)
    run = approve(bench, run)
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert text in run.step("images-back").text
    assert run.step("images-back").text.startswith("3 images back, each pulled by its digest")
    assert digest(there) == ours


def test_an_image_that_cannot_be_pulled_is_not_said_to_be_back(there: Yard) -> None:
    bench = there.bench()
    before = digest(there)
    released(bench, WITH_IMAGES)
    there.place.engine.misbehave(Trouble(TroubleKind.PULL_LIE, "build-base", times=9))
    run = approve(bench, asked(bench))
    assert run.step("images-back").state is StepState.FAILED
    assert "without proof that it has" in run.step("images-back").text
    assert digest(there) == before


def test_images_pushed_alone_are_set_back_without_a_pause(there: Yard) -> None:
    bench = there.bench(images)
    before = digest(there)
    bench.say("operator", "!images push build-base")
    bench.say("operator", f"!approve {bench.journal.open_asks()[0].code}")
    pushed = bench.run(1)
    assert pushed.state is RunState.SUCCEEDED, alerts(bench)
    assert digest(there) != before
    run = rolled_back(bench, "--run 1")
    assert digest(there) == before
    assert run.step("pause-monitor").state is run.step("drain").state is StepState.NOT_NEEDED


def test_a_bot_that_is_killed_while_it_sets_an_image_back_goes_on_with_the_rest(there: Yard) -> None:
    before = {name: digest(there, name) for name in there.place.registry.names()}
    released(there.bench(), WITH_IMAGES)
    followed = Followed(there.ports.images, "retag", killed(there.place))
    first = there.bench(ports=with_ports(there.ports, images=followed))
    run = approve(first, asked(first))
    revive(there.place, first)
    second = there.bench()
    second.engine.resume()
    run = gone_on(second, run)
    assert run.state is RunState.SUCCEEDED, texts(run)
    assert {name: digest(there, name) for name in before} == before


# ---- root file system URLs -------------------------------------------------------------------------------------


def moved(there: Yard, name: str, to: str, branch: str = "main") -> tuple[str, str]:
    """A commit that moves that name's URLs; its file before and after."""
    before = there.place.git("core", "show", f"{branch}:{FILE}") + "\n"
    old = next(line for line in before.splitlines() if f"'{name}/" in line or f" {name}/" in line)
    version = old.partition(f"{name}/")[2].partition("/")[0]
    after = before.replace(f"{name}/{version}/", f"{name}/{to}/")
    there.place.commit("core", {FILE: after}, f"test-configs.yaml: update rootfs URLs to {to}", branch)
    return before, after


def file_at(there: Yard, branch: str = "main") -> str:
    return there.place.git("core", "show", f"{branch}:{FILE}") + "\n"


def test_urls_that_went_to_production_go_back_on_the_development_branch(there: Yard) -> None:
    bench, place = there.bench(), there.place
    before, after = moved(there, "buster", "20261120.0")
    url_commit = place.head("core")
    released(bench)
    later = place.commit("core", {"README.md": "later\n"}, "later")
    run = asked(bench)
    text = shown(bench, run)
    assert "a commit on core's main:" in text
    assert "-    ramdisk: 'buster/20261120.0/" in text
    assert place.head("core") == later, "nothing is pushed before it is approved"
    run = approve(bench, run)
    assert run.state is RunState.SUCCEEDED, alerts(bench)
    assert file_at(there) == before != after
    assert place.git("core", "rev-parse", "main~1") == later
    message = place.git("core", "log", "-1", "--format=%B", "main")
    assert message.startswith("test-configs.yaml: go back to rootfs URLs of ")
    assert f"This takes back the URLs of commit {url_commit}" in message
    assert place.git("core", "diff", "--name-only", "main~1", "main") == FILE
    assert run.step("urls-back").text == f"main {place.head('core')[:10]}"


def test_without_a_url_that_moved_nothing_is_committed(there: Yard) -> None:
    bench = there.bench()
    released(bench)
    main = there.place.head("core")
    run = rolled_back(bench)
    assert run.step("urls-back").state is StepState.NOT_NEEDED
    assert there.place.head("core") == main


def test_urls_that_moved_on_since_are_left_alone(there: Yard) -> None:
    bench = there.bench()
    moved(there, "buster", "20261120.0")
    moved(there, "buster-ltp", "20261120.0")
    released(bench)
    moved(there, "buster", "20261123.0")
    wanted = file_at(there)
    run = rolled_back(bench)
    assert "buster/20261123.0" in file_at(there)
    assert "buster-ltp/20261120.0" not in file_at(there)
    assert file_at(there) != wanted, run.step("urls-back").text


def test_a_commit_by_somebody_in_the_last_moment_is_built_upon(there: Yard) -> None:
    bench, place = there.bench(), there.place
    before, _after = moved(there, "buster", "20261120.0")
    released(bench)
    once = "[ -e once ] && exit 0; touch once; unset GIT_QUARANTINE_PATH"
    place.git("core", "update-ref", "refs/heads/quick", "refs/heads/main")
    quick = place.commit("core", {"README.md": "quicker\n"}, "quicker", "quick")
    place.hook("core", "update", f'[ "$1" = refs/heads/main ] || exit 0; {once}; git update-ref $1 {quick}')
    run = rolled_back(bench)
    assert place.git("core", "rev-parse", "main~1") == quick
    assert file_at(there) == before, texts(run)


class OnDevelopment(Followed):
    """The same, but only behind pushes to the development branch."""

    def remote(self, name: str) -> Any:
        found = self._port.remote(name)
        return OnDevelopment(found, self._method, self._then) if name == self._of else found

    def _follow(self, *args: Any, **named: Any) -> Any:
        value = getattr(self._port, self._method)(*args, **named)
        if any("refs/heads/main" in update.ref for update in args[0]):
            self._then()
        return value


def test_a_bot_that_is_killed_after_the_urls_went_back_does_not_push_again(there: Yard) -> None:
    place = there.place
    before, _after = moved(there, "buster", "20261120.0")
    released(there.bench())
    main = place.head("core")
    git = OnDevelopment(place.ports.git, "push", killed(place), of="core")
    first = there.bench(ports=with_ports(there.ports, git=git))
    run = approve(first, asked(first))
    revive(place, first)
    place.hook("core", "pre-receive", "exit 1")
    second = there.bench()
    second.engine.resume()
    run = gone_on(second, run)
    assert run.state is RunState.SUCCEEDED, texts(run)
    assert file_at(there) == before
    assert place.git("core", "rev-parse", "main~1") == main


def test_staging_that_is_kept_by_hand_gets_the_same_by_a_pick(there: Yard) -> None:
    bench, place = there.bench(sections=(RootfsSettings(staging_branch=STAGING),)), there.place
    before, _after = moved(there, "buster", "20261120.0")
    place.git("core", "update-ref", f"refs/heads/{STAGING}", "refs/heads/main")
    place.commit("core", {"STAGING": "x\n"}, "only on staging", STAGING)
    released(bench)
    run = rolled_back(bench)
    assert file_at(there) == file_at(there, STAGING) == before
    assert f", {STAGING} " in run.step("urls-back").text


def test_a_conflict_on_staging_is_said_and_leaves_it_as_it_is(there: Yard) -> None:
    bench, place = there.bench(sections=(RootfsSettings(staging_branch=STAGING),)), there.place
    moved(there, "buster", "20261120.0")
    place.git("core", "update-ref", f"refs/heads/{STAGING}", "refs/heads/main")
    moved(there, "buster", "20261122.0", STAGING)
    staging = place.head("core", STAGING)
    released(bench)
    run = rolled_back(bench)
    assert place.head("core", STAGING) == staging
    assert f"{STAGING} stays as it is" in run.step("urls-back").text
    assert f"{STAGING} keeps its URLs: pick " in lines(bench, f"run:{run.id}:urls-back:1:staging")


def test_where_urls_are_reviewed_the_way_back_is_a_branch_for_review(there: Yard) -> None:
    bench, place = there.bench(sections=(RootfsSettings(commit=CommitTo.BRANCH),)), there.place
    before, after = moved(there, "buster", "20261120.0")
    released(bench)
    run = rolled_back(bench)
    assert file_at(there) == after
    assert file_at(there, f"rootfs-back-{run.id}") == before
    assert place.git("core", "rev-parse", f"rootfs-back-{run.id}~1") == place.head("core")
