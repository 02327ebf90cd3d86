"""A vote counts, however fresh the prompt: also if the bot was killed between posting it and recording where it is."""

from pathlib import Path

from kcibot.chat.console import ConsoleChat
from kcibot.chat.room import Room
from kcibot.core.gate import GatePolicy
from kcibot.core.message import EventKind, Incoming, MessageRef
from kcibot.core.procedure import Context, Done, Gate, Preview, Procedure, Step
from kcibot.core.registry import Registry
from kcibot.core.run import RunState
from kcibot.core.sender import Sender
from tests.fakes.bench import ROOM, Bench, HandClock, make_bench


def toy(folder: Path) -> Bench:
    def run(_context: Context) -> Done[str]:
        return Done("", "ok")

    step = Step("act", "Act", run, str, preview=lambda _context: Preview({"act": "once"}, ("act once",)))
    toy = Procedure("toy", Gate("go", "Go"), step)
    policy = {"go": GatePolicy(role="release-manager")}
    return make_bench(folder, toy, policies=policy, registry=Registry(), clock=HandClock())


def asked(bench: Bench) -> None:
    begin = bench.engine.start(bench.world.registry.procedure("toy"), bench.world.people.get("operator"), ROOM)
    bench.journal.commit(begin.changes)
    bench.engine.resume()
    bench.settle()


def vote_on(bench: Bench, ref: MessageRef) -> Incoming:
    event = Incoming("99", EventKind.REACTION_ADDED, ROOM, "manager-1", "manager-1", "+1", bench.clock.now(), ref)
    bench.journal.accept(event)
    return event


def test_a_vote_on_a_prompt_whose_place_is_not_recorded_waits_for_that(tmp_path: Path) -> None:
    bench = toy(tmp_path)
    asked(bench)
    chat = ConsoleChat(tmp_path / "room", room=Room(tmp_path / "room"))
    sender = Sender(bench.outbox, chat)
    bench.dispatcher.posting = lambda _network: sender.posting
    prompt = next(one for one in bench.outbox.undelivered("console") if ":gate:" in one.key)
    bench.outbox.sending(prompt)
    event = vote_on(bench, chat.post(prompt.place, prompt.notice, prompt.key))
    assert not bench.dispatcher.handle(event)
    assert bench.journal.unsettled() == (event,)
    while sender.send_some():
        continue
    assert bench.dispatcher.handle(event)
    assert bench.run().state is RunState.SUCCEEDED


def test_a_reaction_on_somebody_elses_message_is_settled_when_nothing_is_being_posted(tmp_path: Path) -> None:
    bench = toy(tmp_path)
    asked(bench)
    sender = Sender(bench.outbox, ConsoleChat(tmp_path / "room", room=Room(tmp_path / "room")))
    bench.dispatcher.posting = lambda _network: sender.posting
    while sender.send_some():
        continue
    assert bench.dispatcher.handle(vote_on(bench, MessageRef("console", ROOM.channel, "4711")))
    assert bench.journal.unsettled() == ()
