"""Every row of the verdict's table, from end to end in a smaller sandbox. `make verdicts` plays them at full size."""

from pathlib import Path

import pytest

from kcibot_commands.rules.verdict import Kind, Verdict
from kcibot_commands.rules.verdict_reasons import Level, Reason
from tests.verdicts.play import SMALL, Played, play
from tests.verdicts.scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_what_is_proposed_is_what_the_table_says_and_names_the_reason(scenario: Scenario, tmp_path: Path) -> None:
    played = play(scenario, tmp_path, SMALL)
    assert not played.problem, f"{played.problem}: {played.proposed}, {played.reason}"


SEEN = Verdict(Kind.WARN, (Reason(Level.WARN, "lab missing", "lab missing: lab-one sent no results"),))


@pytest.mark.parametrize(
    ("scenario", "seen", "problem"),
    [
        (Scenario("right", Kind.WARN, "lab missing", "lab-one"), SEEN, ""),
        (Scenario("kind", Kind.PASS), SEEN, "pass was expected"),
        (Scenario("rule", Kind.WARN, "labs"), SEEN, "no reason “labs” names anything"),
        (Scenario("name", Kind.WARN, "lab missing", "lab-two"), SEEN, "no reason “lab missing” names lab-two"),
        (Scenario("other", Kind.WARN, unnamed="lab-one"), SEEN, "no reason should name lab-one"),
        (Scenario("none", Kind.PASS), None, "no verdict was proposed"),
    ],
    ids=lambda one: one.name if isinstance(one, Scenario) else "",
)
def test_a_proposal_that_differs_in_kind_reason_or_name_is_a_problem(
    scenario: Scenario, seen: Verdict | None, problem: str
) -> None:
    assert Played(scenario, seen, "", 0.0).problem == problem
