"""The issue tracker's stand-in, in GitHub's form, and the adapter that opens and finds things there."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from pydantic import ValidationError

from kcibot import wiring
from kcibot.config import Tracker
from kcibot.core.redact import Redactor
from kcibot.errors import ConfigError, KcibotError, OutcomeUnknown, PermanentError, TransientError
from kcibot.sandbox.http import Fault, FaultKind, Request, Response, json_response
from kcibot.sandbox.tracker import REPOSITORY, TOKEN, TrackerStandIn
from kcibot.services.tracker import PAGES, PER_PAGE, HttpTracker

MARKER = "kcibot: rootfs buster-igt armhf 20261123.0"
TEXT = f"It failed.\n\n{MARKER}\n"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
BRANCH = "rootfs-20261123.0"


@pytest.fixture
def server() -> Iterator[TrackerStandIn]:
    with TrackerStandIn(branches=lambda: {"main", BRANCH}, now=lambda: NOW) as made:
        yield made


def adapter(server: TrackerStandIn, token: str = TOKEN, seconds: float = 5.0) -> HttpTracker:
    return HttpTracker(server.url, REPOSITORY, lambda: token, seconds)


def test_an_issue_is_opened_and_found_by_a_line_of_its_text(server: TrackerStandIn) -> None:
    tracker = adapter(server)
    assert tracker.find_issue(MARKER, NOW) is None
    url = tracker.open_issue("rootfs buster-igt failed for armhf", TEXT)
    assert url == f"{server.url}/{REPOSITORY}/issues/1"
    assert tracker.find_issue(MARKER, NOW) == url
    assert tracker.find_issue(f"{MARKER}0", NOW) is None
    assert server.issues[0]["body"] == TEXT


def test_a_closed_issue_was_opened_all_the_same(server: TrackerStandIn) -> None:
    url = adapter(server).open_issue("a", TEXT)
    server.close(1)
    assert adapter(server).find_issue(MARKER, NOW) == url


def test_an_old_issue_is_not_taken_for_a_new_one(server: TrackerStandIn) -> None:
    adapter(server).open_issue("a", TEXT)
    assert adapter(server).find_issue(MARKER, NOW + timedelta(days=7)) is None


def test_it_is_found_behind_many_others(server: TrackerStandIn) -> None:
    tracker = adapter(server)
    url = tracker.open_issue("a", TEXT)
    for number in range(PER_PAGE + 1):
        server._threads.append({**server._threads[0], "number": number + 2, "body": "another"})
    assert tracker.find_issue(MARKER, NOW) == url


def test_more_than_anybody_reads_is_not_none(server: TrackerStandIn) -> None:
    adapter(server).open_issue("a", "another")
    server._threads *= PER_PAGE * PAGES + 1
    with pytest.raises(TransientError, match="whether one is there is unknown"):
        adapter(server).find_issue(MARKER, NOW)


def test_a_pull_request_is_opened_and_found_by_its_branch(server: TrackerStandIn) -> None:
    tracker = adapter(server)
    assert tracker.find_pull(BRANCH) is None
    url = tracker.open_pull(BRANCH, "main", "New URLs", TEXT)
    assert url == f"{server.url}/{REPOSITORY}/pull/1"
    assert tracker.find_pull(BRANCH) == url
    assert tracker.find_pull("rootfs-20261123") is None
    assert tracker.find_issue(MARKER, NOW) is None, "it is listed with the issues, and is none"


def test_a_second_pull_request_of_a_branch_is_refused_with_the_servers_reason(server: TrackerStandIn) -> None:
    adapter(server).open_pull(BRANCH, "main", "New URLs", "")
    with pytest.raises(PermanentError, match=r"422 and did not open the pull request: .*already exists"):
        adapter(server).open_pull(BRANCH, "main", "New URLs", "")


def test_a_branch_that_is_not_there_is_refused(server: TrackerStandIn) -> None:
    with pytest.raises(PermanentError, match="head or base is invalid"):
        adapter(server).open_pull("rootfs-x", "main", "New URLs", "")
    assert server.pulls == ()


def test_the_token_goes_into_a_header_and_nowhere_else(
    server: TrackerStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    tracker = adapter(server)
    tracker.open_issue("a", TEXT)
    tracker.find_issue(MARKER, NOW)
    assert all(one.headers["Authorization"] == f"Bearer {TOKEN}" for one in server.requests)
    assert not any(TOKEN in one.query or TOKEN in one.path or TOKEN.encode() in one.body for one in server.requests)


@pytest.mark.parametrize("token", ["wrong", "7" * 40])
def test_a_wrong_token_is_said_and_not_shown(server: TrackerStandIn, token: str) -> None:
    for ask in (
        lambda: adapter(server, token).find_issue(MARKER, NOW),
        lambda: adapter(server, token).open_issue("a", "b"),
    ):
        with pytest.raises(PermanentError, match=r"401.*Bad credentials") as caught:
            ask()
        assert token not in str(caught.value)


def test_a_token_with_a_line_break_is_an_error_of_the_configuration(server: TrackerStandIn) -> None:
    with pytest.raises(ConfigError):
        adapter(server, "a\nb").open_issue("a", "b")
    assert server.requests == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(FaultKind.STATUS, status=500), TransientError),
        (Fault(FaultKind.STATUS, status=429), TransientError),
        (Fault(FaultKind.STATUS, status=403), PermanentError),
        (Fault(FaultKind.STATUS, status=404), PermanentError),
        (Fault(FaultKind.STATUS, status=301), PermanentError),
        (Fault(FaultKind.RESET_BEFORE), TransientError),
        (Fault(FaultKind.RESET_MIDWAY), TransientError),
        (Fault(FaultKind.TRUNCATED), TransientError),
        (Fault(FaultKind.EMPTY), TransientError),
        (Fault(FaultKind.HTML), TransientError),
        (Fault(FaultKind.CHANGED, change=lambda rows: {"items": rows}), TransientError),
    ],
)
def test_a_look_that_fails_never_answers_none(server: TrackerStandIn, fault: Fault, error: type[KcibotError]) -> None:
    tracker = adapter(server)
    for find in (lambda: tracker.find_issue(MARKER, NOW), lambda: tracker.find_pull(BRANCH)):
        server.faults.add(Fault(fault.kind, status=fault.status, change=fault.change))
        with pytest.raises(error):
            find()


@pytest.mark.parametrize(
    ("fault", "error", "opened"),
    [
        (Fault(FaultKind.STATUS, status=500), OutcomeUnknown, 0),
        (Fault(FaultKind.STATUS, status=429), TransientError, 0),
        (Fault(FaultKind.STATUS, status=403), PermanentError, 0),
        (Fault(FaultKind.STATUS, status=410), PermanentError, 0),
        (Fault(FaultKind.STATUS, status=307), PermanentError, 0),
        (Fault(FaultKind.HTML), OutcomeUnknown, 0),
        (Fault(FaultKind.RESET_BEFORE), OutcomeUnknown, 0),
        (Fault(FaultKind.RESET_AFTER), OutcomeUnknown, 1),
        (Fault(FaultKind.RESET_MIDWAY), OutcomeUnknown, 1),
        (Fault(FaultKind.TRUNCATED), OutcomeUnknown, 1),
        (Fault(FaultKind.CHANGED, change=lambda _issue: {}), OutcomeUnknown, 1),
    ],
)
def test_what_may_have_been_opened_is_never_called_refused(
    server: TrackerStandIn, fault: Fault, error: type[KcibotError], opened: int
) -> None:
    server.faults.add(fault)
    with pytest.raises(error):
        adapter(server).open_issue("a", TEXT)
    assert len(server.issues) == opened


def test_an_answer_that_does_not_come_leaves_it_unknown(server: TrackerStandIn) -> None:
    server.faults.add(Fault(FaultKind.SLOW, "POST", seconds=1.0))
    with pytest.raises(OutcomeUnknown):
        adapter(server, seconds=0.2).open_issue("a", TEXT)


def test_a_server_that_is_not_there_opened_nothing(server: TrackerStandIn) -> None:
    server.close_port()
    with pytest.raises(TransientError, match="nothing was opened"):
        adapter(server).open_issue("a", TEXT)
    with pytest.raises(TransientError):
        adapter(server).find_issue(MARKER, NOW)


class Limited(TrackerStandIn):
    """Has answered often enough."""

    def respond(self, _request: Request) -> Response:
        return json_response({"message": "API rate limit exceeded"}, 403, {"X-RateLimit-Remaining": "0"})


def test_too_many_requests_pass_also_where_they_are_a_403() -> None:
    with Limited() as limited, pytest.raises(TransientError, match="rate limit exceeded"):
        adapter(limited).open_issue("a", TEXT)


def test_the_stand_in_demands_the_token(server: TrackerStandIn) -> None:
    assert requests.get(f"{server.url}/repos/{REPOSITORY}/issues", timeout=5).status_code == 401
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.get(f"{server.url}/repos/somebody/else/issues", headers=headers, timeout=5).status_code == 404


@pytest.mark.parametrize("repository", ["kernelci-core", "kernelci/kernelci/core", "https://github.com/a/b", "a/", ""])
def test_a_repository_is_named_by_its_owner_and_its_name(repository: str) -> None:
    with pytest.raises(ValidationError, match="is no repository"):
        Tracker.model_validate_json(json.dumps({"repository": repository, "token": {"env": "KCIBOT_TRACKER_TOKEN"}}))


def test_it_is_wired_as_configured(server: TrackerStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KCIBOT_TRACKER_TOKEN", TOKEN)
    block = Tracker.model_validate_json(
        f'{{"url": "{server.url}", "repository": "{REPOSITORY}", "token": {{"env": "KCIBOT_TRACKER_TOKEN"}}}}'
    )
    redactor = Redactor()
    assert wiring._tracker(block, redactor).open_issue("a", TEXT)
    assert TOKEN not in redactor.text(f"the token is {TOKEN}")
