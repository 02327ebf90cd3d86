"""Findings of the rules."""

from kcibot_commands.rules.problem import Problem, Severity, stopping, worded


def test_only_what_stops_forbids_to_go_on():
    stop, ask, warn = Problem("a", "A"), Problem("b", "B", Severity.CONFIRM), Problem("c", "C", Severity.WARN)
    assert stopping([warn, stop, ask]) == (stop,)
    assert str(stop) == "A"


def test_counts_are_worded():
    assert [worded(count, "commit") for count in (0, 1, 2)] == ["0 commits", "1 commit", "2 commits"]
