"""A secret is masked in every dress in which libraries show it, also by a thread that dies of an error."""

import base64
import html
import json
import logging
import sys
import threading
from collections.abc import Iterator
from urllib.parse import quote_plus

import pytest

from kcibot import logs
from kcibot.core.redact import MASK, Redactor

SECRET = "s3cr&t \"w<rd'\\"


@pytest.fixture
def redactor() -> Redactor:
    found = Redactor()
    found.add(SECRET)
    return found


@pytest.mark.parametrize("user", ["u", "ci", "bot", "kcibot"])
def test_a_secret_inside_a_basic_login_is_masked(redactor: Redactor, user: str) -> None:
    header = base64.b64encode(f"{user}:{SECRET}".encode()).decode()
    said = redactor.text(f"Authorization: Basic {header}")
    assert MASK in said
    assert base64.b64encode(SECRET.encode()).decode().strip("=")[4:-4] not in said


@pytest.mark.parametrize("dress", [json.dumps(SECRET), repr(SECRET), html.escape(SECRET), quote_plus(SECRET)])
def test_a_secret_in_another_notation_is_masked(redactor: Redactor, dress: str) -> None:
    assert MASK in redactor.text(f"value={dress};")


def test_other_words_are_left_alone(redactor: Redactor) -> None:
    text = "release-manager approves kernelci-core 20191115.0 c2VjcmV0"
    assert redactor.text(text) == text


@pytest.fixture
def hooks() -> Iterator[None]:
    root = logging.getLogger()
    kept = (sys.excepthook, threading.excepthook, root.handlers, root.level)
    yield
    sys.excepthook, threading.excepthook, root.handlers = kept[0], kept[1], kept[2]
    root.setLevel(kept[3])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_logged_without_the_secret(
    redactor: Redactor, hooks: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(redactor)

    def die() -> None:
        raise ValueError(f"cannot log in with {SECRET}")

    thread = threading.Thread(target=die, name="sender-irc")
    thread.start()
    thread.join()
    said = capsys.readouterr().err
    assert "sender-irc has ended with an uncaught error" in said
    assert MASK in said
    assert SECRET not in said
