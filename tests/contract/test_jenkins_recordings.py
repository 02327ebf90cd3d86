"""The stand-in answers as a real Jenkins 2.263.4 did: what was recorded is asked again, in its order, at its times.

What is not passed yet is listed in `jenkins/not_passed.json` with its reason; an exchange that is listed and passes
is an error, too.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import VIEWER, JenkinsStandIn, User
from tests.contract.jenkins.replay import PASSWORDS, Replay, shell
from tests.contract.jenkins.scenes import SCENES, nothing

RECORDINGS = Path(__file__).with_name("jenkins")
NOT_PASSED: dict[str, dict[str, str]] = json.loads((RECORDINGS / "not_passed.json").read_text())
ALMOST_FROZEN = 1e-9
"""Time passes only where the replay says so."""


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Replay]:
    clock = SandboxClock.create(tmp_path / "clock.json", rate=ALMOST_FROZEN)
    with JenkinsStandIn(clock, "relbot", "token-of-relbot", nodes=1, executors=2) as jenkins:
        for user, password in PASSWORDS.items():
            jenkins.add_user(User(user, f"token-of-{user}", password))
        jenkins.add_user(User("viewer", "token-of-viewer", permissions=VIEWER))
        jenkins.add_user(User("nobody", "token-of-nobody", permissions=frozenset()))
        jenkins.world.default_behaviour = shell
        replay = Replay(jenkins, clock)
        replay.begin()
        yield replay


@pytest.mark.parametrize("theme", SCENES)
def test_the_stand_in_answers_as_recorded(theme: str, replay: Replay) -> None:
    exchanges = [json.loads(line) for line in (RECORDINGS / f"{theme}.jsonl").read_text().splitlines()]
    asked = [exchange for exchange in exchanges if "request" in exchange]
    set_the_scene, interludes = SCENES[theme]
    set_the_scene(replay)
    listed, differing = NOT_PASSED.get(theme, {}), {}
    for exchange in asked:
        name = exchange["name"]
        if exchange.get("series", 1) != replay.series:
            replay.series = exchange["series"]
            replay.begin()
        interludes.get(name, nothing)(replay)
        replay.at(exchange["t"])
        if listed.get(name, "").startswith("not asked"):
            differing[name] = "not asked"
        elif found := replay.ask(exchange):
            differing[name] = found
    print(f"{theme}: {len(asked) - len(differing)} of {len(asked)} exchanges as recorded")  # noqa: T201 (the count)
    assert {name: why for name, why in differing.items() if name not in listed} == {}
    assert set(listed) - set(differing) == set(), "these are listed as not passed, and pass"


def test_every_recording_has_a_scene() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.jsonl")} == set(SCENES)
