"""People's own words arrive as they were typed: a chat line is no shell script."""

from pathlib import Path

import pytest

from kcibot.core.command import Outcome, Reason, Text, UsageError, command
from kcibot.core.dispatch import Call
from kcibot.core.notice import Notice
from kcibot.core.procedure import Gate
from tests.fakes.bench import Bench
from tests.fakes.toys import MANAGER, Target, push, toy_bench


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    bench = toy_bench(tmp_path, Gate("go", "Go"), push(Target()), go=MANAGER)

    @command("note", role="observer")
    def note(_call: Call, name: str, text: Text = Text("nothing")) -> Outcome:  # noqa: B008 (a str)
        """Keep a note."""
        return Outcome(Notice(f"{name}: {text}"))

    @command("drop", role="observer")
    def drop(_call: Call, reason: Reason, *, run: int = 0) -> Outcome:
        """Drop a run."""
        return Outcome(Notice(f"dropped {run}: {reason}"))

    bench.world.registry.commands.update({spec.name: spec for spec in (note, drop)})
    return bench


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("!note 3 don't take Guillaume's tree", "3: don't take Guillaume's tree"),
        ("!note 3 a tag in Guillaume's tree", "3: a tag in Guillaume's tree"),
        (r"!note 3 match \d+ and C:\temp", r"3: match \d+ and C:\temp"),
        ("!note 3 add --no-cache", "3: add --no-cache"),
        ("!note 3 --no-cache=yes is new", "3: --no-cache=yes is new"),
        ('!note 3 say "go" twice', '3: say "go" twice'),
        ('!note 3 "quoted as a whole"', "3: quoted as a whole"),
        ('!note "two words" # is no comment', "two words: # is no comment"),
        ("!note 3", "3: nothing"),
        ("!drop it's Guillaume's board", "dropped 0: it's Guillaume's board"),
        ("!drop it's Guillaume's board --run 4", "dropped 4: it's Guillaume's board"),
        ("!drop --run 4 'tis late", "dropped 4: 'tis late"),
    ],
)
def test_a_text_or_a_reason_is_taken_as_it_was_typed(room: Bench, line: str, said: str) -> None:
    room.say("observer", line)
    assert room.replies()[-1] == said


def test_a_verb_shows_that_a_text_may_have_many_words(room: Bench) -> None:
    note = room.world.registry.commands["note"]
    assert note.usage == "!note NAME [TEXT...]"
    with pytest.raises(UsageError):
        note.bind(())
