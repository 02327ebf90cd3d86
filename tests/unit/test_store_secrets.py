import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.core.gate import Ask, Choice, Vote
from kcibot.core.journal import (
    Audit,
    Effect,
    EffectState,
    Remember,
    SaveAsk,
    SaveEffect,
    SaveRun,
    SaveVote,
    Say,
    Settle,
)
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.notice import Field, Notice
from kcibot.core.redact import MASK, Redactor
from kcibot.core.run import Hold, HoldKind, Run, StepRecord
from kcibot.errors import PermanentError
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import Store, open_store

NOW = datetime(2019, 6, 3, 12, tzinfo=UTC)
PLACE = Place("irc", "#kernelci")
PLAIN, ODD = "hunter2hunter2", 'quo"te\\back\nline é'
SECRETS = (PLAIN, ODD)
BOTH = f"see {PLAIN} and {ODD}."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kcibot.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    redactor = Redactor()
    for secret in SECRETS:
        redactor.add(secret)
    store = open_store(path, redactor, PydanticCodec())
    yield store
    store.close()


def everything_with(text: str) -> list[object]:
    data = {"list": [text, {"deep": text}], text: text}
    step = StepRecord("push", text, text=text, value=data)
    event = Incoming(text, EventKind.MESSAGE, Place("irc", text), text, text, text, NOW, MessageRef("irc", text, text))
    return [
        SaveRun(Run(1, "release", text, text, PLACE, NOW, (step,), data, 1, (Hold(HoldKind.STOP, text, text, NOW),))),
        SaveAsk(Ask(1, "go", 1, text, {"push": data}, (text,), NOW)),
        SaveVote(Vote(1, "go", 1, "manager-1", "irc", Choice.REJECT, NOW, text)),
        SaveEffect(Effect(1, "push", 1, "push", EffectState.DONE, NOW, NOW, data)),
        Say(f"reply:{text}", PLACE, Notice(text, lines=(text,), fields=(Field(text, text),), brief=text), text),
        Audit(NOW, text, text, text, data),
        Settle(event),
        Remember("topic", "key", data),
    ]


def test_no_secret_ever_gets_into_the_files(store: Store, path: Path) -> None:
    store.journal.commit(everything_with(BOTH))  # type: ignore[arg-type]
    store.journal.accept(Incoming("e-2", EventKind.MESSAGE, PLACE, "op", BOTH, BOTH, NOW))
    (message,) = store.outbox.undelivered("irc")
    store.outbox.sending(message)
    store.outbox.sent(message, MessageRef("irc", BOTH, BOTH))
    store.journal.writer.flush()
    contents = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert MASK.encode() in contents
    for secret in SECRETS:
        json_text = secret.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for form in (secret, json_text, base64.b64encode(secret.encode()).decode()):
            assert form.encode() not in contents


def test_the_text_around_a_secret_stays(store: Store) -> None:
    store.journal.commit([Remember("a", "b", {"text": BOTH, "n": [1, None]}), Audit(NOW, "operator", BOTH)])
    assert store.journal.recall("a") == {"b": {"text": f"see {MASK} and {MASK}.", "n": [1, None]}}
    assert store.journal.audit_tail(1)[0].entry.what == f"see {MASK} and {MASK}."


def test_a_message_whose_id_holds_a_secret_is_still_found(store: Store) -> None:
    store.journal.commit([Say("card", PLACE, Notice("Release"))])
    ref = MessageRef("irc", "#kernelci", f"m-{PLAIN}")
    store.outbox.sent(store.outbox.undelivered("irc")[0], ref)
    assert store.journal.message_key(ref) == "card"


def test_an_event_whose_id_holds_a_secret_is_still_stored_once(store: Store) -> None:
    event = Incoming(PLAIN, EventKind.MESSAGE, PLACE, "op", "op", "!ping", NOW)
    assert store.journal.accept(event)
    assert not store.journal.accept(event)
    store.journal.commit([Settle(event)])
    assert store.journal.unsettled() == ()


@pytest.mark.parametrize(
    "change",
    [
        SaveEffect(Effect(1, "push", 1, PLAIN, EffectState.DONE, NOW, NOW)),
        Remember("topic", PLAIN, 1),
        Say("card", Place("irc", PLAIN), Notice("x")),
    ],
)
def test_a_name_by_which_things_are_found_again_may_hold_no_secret(store: Store, change: SaveEffect | Say) -> None:
    with pytest.raises(PermanentError, match="secret") as raised:
        store.journal.commit([change])
    assert PLAIN not in str(raised.value)
