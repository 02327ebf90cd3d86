"""Driving one run: take its first open step, do what is due, record it, and go on until there is nothing to do now."""

import logging
import uuid
from datetime import datetime

from kcibot.core import asking
from kcibot.core.cancel import Cancel
from kcibot.core.card import card, card_key
from kcibot.core.context import NotYet, StandStill, StepContext
from kcibot.core.gate import Ask, AskState, moved
from kcibot.core.journal import ACTED, Change, EffectState, SaveRun, Say
from kcibot.core.notice import Level, Notice
from kcibot.core.procedure import Done, Gate, GateRequest, Preview, Procedure, Retry, Step, Wait
from kcibot.core.run import (
    BROKEN,
    SETTLED,
    Run,
    StepRecord,
    StepState,
    again,
    anew,
    begun,
    broken,
    ended,
    failed_for_now,
    gate_of,
    looked_at_again,
    settled,
    waiting,
)
from kcibot.core.trouble import trouble
from kcibot.core.wording import span
from kcibot.core.world import BOT, World
from kcibot.errors import KcibotError, OutcomeUnknown, TransientError

log = logging.getLogger(__name__)


class Driver:
    """Drives one run on the caller's thread."""

    def __init__(self, world: World, run_id: int, cancellation: Cancel) -> None:
        self._world = world
        self._journal = world.journal
        self._run_id = run_id
        self._cancellation = cancellation

    def drive(self) -> None:
        """Return when the run has ended, waits, or stands still."""
        while self._move():
            pass

    def _move(self) -> bool:
        """Do one thing; false if there is nothing to do now."""
        run = self._journal.run(self._run_id)
        step = run.current
        if run.ended:
            return False
        if step is None:
            return self._end()
        if run.holds or step.state in BROKEN or self._waits(step):
            return False
        procedure = self._world.registry.procedures.get(run.procedure)
        item = procedure.item(step.id) if procedure else None
        if procedure is None or item is None:
            return self._broke(step, StepState.FAILED, f"this version has no such step of {run.procedure} any more")
        return self._guarded(run, procedure, item, step)

    def _guarded(self, run: Run, procedure: Procedure, item: Gate | Step[object], step: StepRecord) -> bool:
        """Do what is due, and turn whatever goes wrong into a state that people can read."""
        try:
            if isinstance(item, Gate):
                return self._gate(run, procedure, item, step)
            return self._step(run, procedure, item, step)
        except StandStill:
            return False
        except NotYet as wait:
            return self._look_again(step, wait)
        except OutcomeUnknown as error:
            return self._broke(step, StepState.UNKNOWN, str(error))
        except TransientError as error:
            return self._failed_for_now(item, step, str(error))
        except KcibotError as error:
            return self._broke(step, self._how_it_broke(run, step), str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (a bug must end in the channel, not in a dead thread)
            return self._broke(step, self._how_it_broke(run, step), self._logged(error))

    def _waits(self, step: StepRecord) -> bool:
        if step.state is not StepState.WAITING:
            return False
        return step.wake_at is None or step.wake_at > self._world.clock.cautious_now()

    # ---- gates -------------------------------------------------------------------------------------------------

    def _gate(self, run: Run, procedure: Procedure, gate: Gate, step: StepRecord) -> bool:
        """Ask, or ask again because nobody answered in time: with the facts as they are now."""
        context = StepContext(self._world, run, step.id, self._cancellation)
        needed = gate.when(context)
        request = asking.gate_request(gate, procedure, context) if needed.needed else None
        if request is None:
            return self._settle(step, StepState.NOT_NEEDED, needed.why or "nothing to approve")
        return self._ask(step, request)

    def _ask(self, step: StepRecord, request: GateRequest) -> bool:
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if run.current != step or run.ended:
                return True
            run, changes = asking.opened(self._world, run, step.id, request)
            self._journal.commit([SaveRun(run), *changes])
        return False

    # ---- steps -------------------------------------------------------------------------------------------------

    def _step(self, run: Run, procedure: Procedure, step: Step[object], record: StepRecord) -> bool:
        context = StepContext(self._world, run, step.id, self._cancellation)
        untouched = self._untouched(run, record)
        if untouched:
            needed = step.needed(context)
            if not needed.needed:
                return self._settle(record, StepState.NOT_NEEDED, needed.why)
        # What broke and is tried again by people acts anew too: what it was approved with may have changed since.
        if (untouched or record.state is StepState.PENDING) and not self._still_approved(run, procedure, step, context):
            return True
        if untouched:
            request = self._request(run, step, context)
            if request and self._was_approved(run, request.gate_id):
                # what it kept when it was tried is not what is asked for now
                run, record = self._from_its_start(record)
                request = self._request(run, step, StepContext(self._world, run, step.id, self._cancellation))
            if request:
                return self._ask(record, request)
        if record.state is StepState.PENDING or record.started_at is None:
            record = self._begin(record)
        self._in_time(step, record)
        return self._finish(
            record, step.run(StepContext(self._world, self._journal.run(run.id), step.id, self._cancellation))
        )

    def _untouched(self, run: Run, record: StepRecord) -> bool:
        """Whether the step has done nothing yet, so that what was approved of it can be compared with the world."""
        if record.state is StepState.WAITING and record.started_at and not record.failures:
            return False  # it looks again and again, and was compared before its first look
        return not self._acted(record)

    def _acted(self, record: StepRecord) -> bool:
        effects = self._journal.effects(self._run_id, record.id, record.round).values()
        return any(effect.state in ACTED for effect in effects)

    def _still_approved(self, run: Run, procedure: Procedure, step: Step[object], context: StepContext) -> bool:
        """Compute the facts anew just before acting; if one moved, the approval is void and is asked for again."""
        gate_id = gate_of(run, step.id)
        ask = self._journal.ask(run.id, gate_id) if gate_id else None
        approved = ask is not None and ask.state is AskState.APPROVED
        gate = procedure.item(gate_id)
        if not gate_id or (not approved and isinstance(gate, Gate) and not gate.when(context).needed):
            return True
        shown = ask.facts.get(step.id, {}) if ask and approved else {}
        changed = moved(shown, step.preview(context).facts)  # type: ignore[arg-type]  # facts of a step are a mapping
        lapsed = asking.lapsed(self._world, run, ask) if ask and approved else ""
        if changed or lapsed:
            self._void(run.step(gate_id), ask, run.step(step.id), lapsed, changed)
        return not changed and not lapsed

    def _void(
        self, gate: StepRecord, ask: Ask | None, record: StepRecord, lapsed: str, changed: tuple[str, ...]
    ) -> None:
        """The gate asks again before the step, which counts as not begun: if it did nothing, nor does what it kept."""
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if run.ended or run.current != record:
                return
            begin = again if self._acted(record) else anew
            changes: list[Change] = [SaveRun(begin(anew(run, gate.id), record.id))]
            if ask:
                why = lapsed or "what it showed has changed"
                title = f"{run.title}: the approval of “{ask.title}” is void, because {why}"
                lines = tuple(f"{record.title}, {line}" for line in changed)
                alert = Notice(title, Level.ALERT, lines, mentions=(run.starter,))
                changes += asking.closed(self._world, run, ask, AskState.VOID)
                changes += self._world.everywhere(f"{ask.message_key}:void", alert, card_key(run), run.place)
            subject = f"{run.title}: {gate.title}"
            audit = self._world.audit(BOT, "void", subject, moved=list(changed), lapsed=lapsed)
            self._journal.commit([*changes, audit])

    def _request(self, run: Run, step: Step[object], context: StepContext) -> GateRequest | None:
        """The gate that the step wants of its own, unless it was approved for these very facts."""
        request = step.asks(context)
        if request is None:
            return None
        gate_id = f"{request.gate_id}:{step.id}"
        facts = {step.id: request.preview.facts}
        ask = self._journal.ask(run.id, gate_id)
        approved = ask is not None and ask.state is AskState.APPROVED
        if ask and approved and not moved(ask.facts, facts) and not asking.lapsed(self._world, run, ask):
            return None
        return GateRequest(gate_id, request.title, Preview(facts, request.preview.display))

    def _was_approved(self, run: Run, gate_id: str) -> bool:
        ask = self._journal.ask(run.id, gate_id)
        return ask is not None and ask.state is AskState.APPROVED

    def _from_its_start(self, record: StepRecord) -> tuple[Run, StepRecord]:
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if run.holds or run.ended or run.current != record:
                raise StandStill
            run = anew(run, record.id)
            self._journal.commit([SaveRun(run)])
            return run, run.step(record.id)

    def _begin(self, record: StepRecord) -> StepRecord:
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if run.holds or run.ended or run.current != record:
                raise StandStill
            run = begun(run, record.id, self._world.clock.now())
            self._journal.commit([SaveRun(run), *self._card(run)])
            return run.step(record.id)

    def _in_time(self, step: Step[object], record: StepRecord) -> None:
        started = record.started_at or self._world.clock.now()
        if self._world.clock.now() - started > step.limit:
            raise KcibotError(f"it took longer than {span(step.limit)}. It last said: {record.text or 'nothing'}")

    def _finish(self, record: StepRecord, end: Done[object] | Wait) -> bool:
        if isinstance(end, Done):
            return self._settle(record, StepState.DONE, end.text, self._journal.codec.dump(end.value))
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if _over(run, record) or run.step(record.id).state not in {StepState.RUNNING, StepState.WAITING}:
                return False
            due = self._due(end.until)
            run = waiting(run, record.id, end.text, due, self._world.clock.now(), end.memory)
            self._journal.commit([SaveRun(run), *self._card(run)])
        return due <= self._world.clock.cautious_now()

    def _look_again(self, record: StepRecord, wait: NotYet) -> bool:
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if not _over(run, record):
                run = looked_at_again(run, record.id, str(wait), wait.until)
                self._journal.commit([SaveRun(run), *self._card(run)])
        return False

    # ---- ends --------------------------------------------------------------------------------------------------

    def _settle(self, record: StepRecord, state: StepState, text: str, value: object = None) -> bool:
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if _over(run, record):
                return not run.ended
            if state is StepState.NOT_NEEDED and run.current != record:
                return True
            now = self._world.clock.now()
            run = settled(run, record.id, state, now, text, value)
            audit = self._world.audit(BOT, f"step {state.value}", f"{run.title}: {record.title}", text=text)
            self._journal.commit([SaveRun(run), audit, *self._card(run)])
        return True

    def _failed_for_now(self, item: Gate | Step[object], record: StepRecord, text: str) -> bool:
        retry = item.retry if isinstance(item, Step) else Retry()
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if _over(run, record):
                return False
            failures = run.step(record.id).failures + 1
            if failures >= retry.attempts or not self._world.has_card(run):
                return self._broke(record, self._how_it_broke(run, record), text)
            wake_at = self._due(self._world.clock.now() + retry.wait(failures))
            run = failed_for_now(run, record.id, f"{text} (I try again)", wake_at)
            self._journal.commit([SaveRun(run), *self._card(run)])
        return False

    def _broke(self, record: StepRecord, state: StepState, text: str) -> bool:
        """People decide what next; but of a run that was only to answer, the error is the answer."""
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if _over(run, record):
                return False
            run = broken(run, record.id, state, text)
            audit = self._world.audit(BOT, f"step {state.value}", f"{run.title}: {record.title}", text=text)
            if not self._world.has_card(run):
                run = ended(run, self._world.clock.now(), text)
                self._journal.commit([SaveRun(run), audit, *self._card(run)])
                return False
            key = f"run:{run.id}:{record.id}:{record.round}:broken:{self._world.clock.now().isoformat()}"
            effects = self._journal.effects(run.id, record.id, record.round).values()
            alert = self._world.everywhere(key, trouble(run, record, state, text, effects), card_key(run), run.place)
            self._journal.commit([SaveRun(run), audit, *self._card(run), *alert])
        return False

    def _how_it_broke(self, run: Run, record: StepRecord) -> StepState:
        """An effect that was begun and not settled makes the outcome unknown, whatever went wrong around it."""
        effects = self._journal.effects(run.id, record.id, record.round).values()
        flying = any(effect.state is EffectState.IN_FLIGHT for effect in effects)
        return StepState.UNKNOWN if flying else StepState.FAILED

    def _end(self) -> bool:
        with self._world.lock:
            run = self._journal.run(self._run_id)
            if run.ended or run.current:
                return not run.ended
            run = ended(run, self._world.clock.now())
            audit = self._world.audit(BOT, "run succeeded", run.title, run=run.id)
            self._journal.commit([SaveRun(run), audit, *self._card(run)])
        return False

    def _due(self, until: datetime) -> datetime:
        """By the clock that measures waits: a jump of the other one before a wait does not lengthen it.

        A time that would be over by that was meant by this clock, which a step may go by, too: it is never shortened.
        """
        cautious = self._world.clock.cautious_now()
        due = until - (self._world.clock.now() - cautious)
        return due if due > cautious else until

    def _card(self, run: Run) -> tuple[Change, ...]:
        return card_changes(self._world, run)

    def _logged(self, error: BaseException) -> str:
        reference = uuid.uuid4().hex[:8]
        log.error("unexpected error in run %s, reference %s", self._run_id, reference, exc_info=error)
        return f"something went wrong that I did not expect ({type(error).__name__}); the log has it under {reference}"


def _over(run: Run, record: StepRecord) -> bool:
    """Whether people decided meanwhile: the run has ended, the step is settled, or it is to begin anew."""
    now = run.step(record.id)
    return run.ended or now.state in SETTLED or now.round != record.round


def card_changes(world: World, run: Run) -> tuple[Change, ...]:
    """Show the run as it stands now: its card, or for a run without one its answer once there is one."""
    if world.has_card(run):
        return world.everywhere(card_key(run), card(run, world.clock.now()), origin=run.place)
    last = run.current or run.steps[-1]
    if not last.text or not (run.ended or last.state in BROKEN):
        return ()
    title, *lines = last.text.splitlines()
    level = Level.ERROR if last.state in BROKEN else Level.INFO
    return (Say(f"run:{run.id}:answer", run.place, Notice(title, level, tuple(lines))),)
