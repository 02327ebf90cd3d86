"""A Jenkins answers as a real Jenkins 2.263.4 did: what was recorded is asked again, in its order, at its times.

The stand-in is always asked. What it does not pass yet is listed in `jenkins/not_passed.json` with its reason; an
exchange that is listed and passes is an error, too. A real server is asked as well if KCIBOT_TEST_JENKINS names one,
apart from what `jenkins/not_asked_of_a_real_server.json` lists; of another version it may differ, and the test says so.
"""

import json
from pathlib import Path

import pytest

from tests.contract.jenkins.exchanges import RECORDED_VERSION, THEMES, exchanges, is_asked_at_all, why_not_asked
from tests.contract.jenkins.on_real_server import access, real_server
from tests.contract.jenkins.on_stand_in import stand_in
from tests.contract.jenkins.replay import Replay
from tests.contract.jenkins.scenes import SCENES, nothing

NOT_PASSED: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "jenkins/not_passed.json").read_text())
REAL_SERVER = access()
LONGEST_THEME = 1200
"""Real seconds: one of them waits until Jenkins forgets a queue item."""


def play(theme: str, replay: Replay, not_asked: dict[str, str]) -> dict[str, str]:
    """What differs, by exchange. What belongs to an exchange that is not asked does not happen either."""
    set_the_scene, interludes = SCENES[theme]
    replay.begin()
    set_the_scene(replay)
    recorded = exchanges(theme)
    asked = [exchange for exchange in recorded if exchange["name"] not in not_asked]
    differing = {}
    for exchange in asked:
        if exchange.get("series", 1) != replay.series:
            replay.series = exchange["series"]
            replay.begin()
        interludes.get(exchange["name"], nothing)(replay)
        replay.at(exchange["t"])
        if found := replay.ask(exchange):
            differing[exchange["name"]] = found
    passed = len(asked) - len(differing)
    print(f"{theme}: {passed} of {len(recorded)} exchanges as recorded, {len(asked)} asked")  # noqa: T201 (the count)
    return differing


@pytest.mark.parametrize("theme", SCENES)
def test_the_stand_in_answers_as_recorded(theme: str, tmp_path: Path) -> None:
    listed = NOT_PASSED.get(theme, {})
    not_asked = {name: why for name, why in listed.items() if why.startswith("not asked")}
    with stand_in(tmp_path) as subject:
        differing = play(theme, Replay(subject), not_asked)
    assert {name: why for name, why in differing.items() if name not in listed} == {}
    assert set(listed) <= {exchange["name"] for exchange in exchanges(theme)}, "these were not recorded"
    assert set(listed) - set(not_asked) - set(differing) == set(), "these are listed as not passed, and pass"


if REAL_SERVER:  # without one there is nothing to skip

    @pytest.mark.slow
    @pytest.mark.timeout(LONGEST_THEME)
    @pytest.mark.parametrize("theme", [theme for theme in SCENES if is_asked_at_all(theme)])
    def test_a_real_server_answers_as_recorded(theme: str) -> None:
        assert REAL_SERVER
        with real_server(REAL_SERVER) as subject:
            differing = play(theme, Replay(subject), why_not_asked(theme, folders=subject.has_folders))
        if differing:
            versions = f"Recorded from Jenkins {RECORDED_VERSION}, asked of Jenkins {subject.version}"
            answers = "\n".join(f"  {name}: {how}" for name, how in differing.items())
            pytest.fail(f"{versions}: {len(differing)} answers differ.\n{answers}", pytrace=False)


def test_every_recording_has_a_scene() -> None:
    assert set(THEMES) == set(SCENES)
