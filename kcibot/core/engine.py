"""The engine: what may be decided about runs, and the threads that drive them. The only writer of run state."""

import logging
import threading
from dataclasses import replace

from kcibot.core import asking
from kcibot.core.access import Person
from kcibot.core.cancel import Cancel
from kcibot.core.card import card_key
from kcibot.core.command import Outcome
from kcibot.core.drive import Driver, card_changes
from kcibot.core.gate import Ask, AskState, Choice
from kcibot.core.journal import Change, Effect, EffectState, SaveAsk, SaveEffect, SaveRun
from kcibot.core.message import Place
from kcibot.core.notice import Level, Notice
from kcibot.core.procedure import Gate, Procedure, Step
from kcibot.core.prompt import reminder, reminder_key
from kcibot.core.run import (
    BROKEN,
    SETTLED,
    Hold,
    HoldKind,
    Run,
    StepKind,
    StepRecord,
    StepState,
    again,
    anew,
    ended,
    held,
    looked_at_again,
    released,
    settled,
)
from kcibot.core.wording import listed
from kcibot.core.world import World
from kcibot.errors import UserError

log = logging.getLogger(__name__)

UNANSWERED = frozenset({AskState.OPEN})
ANSWERED = frozenset({AskState.OPEN, AskState.APPROVED})
"""What begins anew asks anew: an approval was for what was done then."""


class Engine:
    """Decisions return an Outcome whose changes the caller commits, holding `world.lock` from before until after."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mutex = threading.Lock()
        self._idle = threading.Condition(self._mutex)
        self._driving: dict[int, bool] = {}
        self._cancels: dict[int, Cancel] = {}
        self._closing = False

    # ---- decisions ---------------------------------------------------------------------------------------------

    def start(
        self, procedure: Procedure, person: Person, place: Place, title: str = "", args: object = None
    ) -> Outcome:
        """A new run of that procedure, in the configured order.

        Its steps are recorded now, so that a later version of the bot keeps to them.
        """
        now = self._world.clock.now()
        procedure = self._world.registry.procedures.get(procedure.name, procedure)
        steps = tuple(
            StepRecord(item.id, item.title, StepKind.GATE if isinstance(item, Gate) else StepKind.STEP)
            for item in procedure
        )
        run = Run(
            id=self._world.journal.new_run_id(),
            procedure=procedure.name,
            title=title or procedure.title,
            starter=person.id,
            place=place,
            created_at=now,
            steps=steps,
            args=self._world.journal.codec.dump(args),
        )
        audit = self._world.audit(person.id, "start", run.title, run=run.id, args=run.args)
        return self._changed(run, audit)

    def vote(
        self, ask: Ask, person: Person, network: str, choice: Choice, reason: str = "", *, reacted: bool = False
    ) -> Outcome:
        """`reacted`: it was given by a reaction, and is taken back with it."""
        changes = asking.voted(self._world, ask, person, network, choice, reason, reacted=reacted)
        return Outcome(changes=tuple(changes), wake=(ask.run_id,))

    def withdraw(self, ask: Ask, person: Person, network: str) -> Outcome:
        return Outcome(changes=tuple(asking.withdrawn(self._world, ask, person, network)), wake=(ask.run_id,))

    def hold(self, run: Run, kind: HoldKind, person: Person, reason: str) -> Outcome:
        """The run stands still at its next safe point; a STOP also ends what can be ended of the effect in flight."""
        now = self._world.clock.now()
        run = held(run, Hold(kind, person.id, reason, now))
        audit = self._world.audit(person.id, kind.value, run.title, reason=reason)
        if kind is HoldKind.STOP:  # which is one for all runs, and told by whoever calls it
            self._cancel(run.id).cancel()
            return self._changed(run, audit)
        notice = Notice(_still_held(run), Level.ALERT, mentions=(run.starter,))
        told = self._world.everywhere(f"run:{run.id}:held:{now.isoformat()}", notice, card_key(run), run.place)
        return self._changed(run, audit, *told)

    def release(self, run: Run, kinds: frozenset[HoldKind], person: Person) -> Outcome:
        """The run goes on, unless a hold of another kind is left."""
        if not any(hold.kind in kinds for hold in run.holds):
            raise UserError(_still_held(run) or f"{run.title} is not held")
        run = released(run, kinds)
        if HoldKind.STOP in kinds:
            with self._mutex:
                self._cancels.pop(run.id, None)
        outcome = self._changed(run, self._world.audit(person.id, "continue", run.title))
        left = Notice(_still_held(run), Level.WARNING) if run.holds else Notice(f"{run.title} goes on")
        return replace(outcome, notice=left)

    def retry(self, run: Run, step_id: str, person: Person, *, not_done: bool = False) -> Outcome:
        """Try a broken step again where it broke, or begin a settled one anew.

        `not_done` is a person's word that an effect whose outcome was unknown did not happen.
        """
        step = self._step(run, step_id)
        if step.state is StepState.RUNNING and run.id in self._driving:
            raise UserError(f"“{step.title}” is acting now; !stop ends it")
        effects: tuple[Change, ...] = ()
        if not_done:
            flying = self._world.journal.effects_in(EffectState.IN_FLIGHT, run.id)
            effects = tuple(_refused(effect) for effect in flying if effect.step_id == step_id)
        # a step that was skipped in doubt is looked at again before it acts
        fresh = step.kind is StepKind.GATE or (step.state in SETTLED and not self._in_doubt(run, step))
        effects += tuple(self._voided(run, step_id, ANSWERED if fresh else UNANSWERED))
        run = anew(run, step_id) if fresh else again(run, step_id)
        audit = self._world.audit(person.id, "retry", f"{run.title}: {step.title}", not_done=not_done)
        return self._changed(run, audit, *effects)

    def skip(self, run: Run, step_id: str, person: Person, reason: str) -> Outcome:
        """Go on without the step, or with what people did by hand. A gate is approved or overridden, never skipped."""
        step = self._step(run, step_id)
        if step.kind is StepKind.GATE:
            raise UserError(f"“{step.title}” is a gate: approve it, or !approve CODE --override REASON")
        if step.state in SETTLED:
            raise UserError(f"“{step.title}” is settled already: {step.text or step.state.value}")
        if instead := self._instead_of_skip(run, step_id):
            raise UserError(f"“{step.title}” cannot be skipped: {instead}")
        if step is run.current and run.id in self._driving:
            raise UserError(f"“{step.title}” is acting now; try again, or !stop it first")
        now = self._world.clock.now()
        run = settled(run, step_id, StepState.SKIPPED, now, f"skipped by {person.id}: {reason}")
        audit = self._world.audit(person.id, "skip", f"{run.title}: {step.title}", reason=reason)
        return self._changed(run, audit, *self._voided(run, step_id))

    def look_now(self, run: Run, step_id: str) -> Outcome:
        """Let a waiting step look at once, because what it waits for is another now. It has not failed, nor ended."""
        step = self._step(run, step_id)
        if step is not run.current or run.id in self._driving:
            raise UserError(f"“{step.title}” is acting now, or not yet its turn; try again")
        if step.state is StepState.WAITING:
            run = looked_at_again(run, step_id, step.text, self._world.clock.cautious_now())
        return self._changed(run)

    def abort(self, run: Run, person: Person, reason: str) -> Outcome:
        """The run ends where it is; the outcome says what was done and what stays as it is."""
        self._cancel(run.id).cancel()
        run = ended(run, self._world.clock.now(), f"by {person.id}: {reason}")
        done = [step.title for step in run.steps if step.state is StepState.DONE]
        flying = [effect.key for effect in self._world.journal.effects_in(EffectState.IN_FLIGHT, run.id)]
        half = self._half_done(run)
        lines = [f"Done: {listed(done)}." if done else "Nothing had been done."]
        if flying:
            lines.append(f"In flight, outcome unknown: {listed(flying)}.")
        if half:
            lines.append(f"Broken off half-way: {listed(half)}.")
        notice = Notice(f"{run.title} aborted by {person.id}: {reason}", Level.ALERT, tuple(lines))
        told = self._world.everywhere(f"run:{run.id}:aborted", notice, card_key(run), run.place)
        audit = self._world.audit(person.id, "abort", run.title, reason=reason, in_flight=flying, half_done=half)
        return self._changed(run, audit, *self._voided(run), *told)

    def amend(self, run: Run, person: Person) -> Outcome:
        """A new revision: every step is looked at again, and those that find nothing left to do say so."""
        current = run.current
        if current and current.state is StepState.RUNNING and run.id in self._driving:
            raise UserError(f"“{current.title}” is acting now; !release pause first")
        if current and (doubt := self._in_doubt(run, current)):
            raise UserError(
                f"whether “{doubt[0]}” has happened is not known yet: !release retry {current.id} lets me look, "
                f"!release skip {current.id} REASON if it happened, and "
                f"!release retry {current.id} --not-done if it did not"
            )
        voided = self._voided(run, states=ANSWERED)
        run = replace(run, revision=run.revision + 1)
        for step in run.steps:
            run = anew(run, step.id)
        return self._changed(run, self._world.audit(person.id, "amend", run.title, revision=run.revision), *voided)

    # ---- driving -----------------------------------------------------------------------------------------------

    def wake(self, run_ids: tuple[int, ...]) -> None:
        """Go on with these runs, each on a thread of its own; a run is never driven twice at a time."""
        for run_id in run_ids:
            with self._mutex:
                if self._closing:
                    return
                if run_id in self._driving:
                    self._driving[run_id] = True
                    continue
                self._driving[run_id] = False
            threading.Thread(target=self._drive, args=(run_id,), name=f"run-{run_id}", daemon=True).start()

    def resume(self) -> None:
        """After a start: go on with every run that has not ended."""
        self.take_over()
        self.go_on()

    def take_over(self) -> None:
        """After a start, before anything is driven: how long what is in flight may still arrive.

        Whoever began it lived until just now, for all that is known: it may arrive late from now on.
        """
        journal, now = self._world.journal, self._world.clock.cautious_now()
        flying = [effect for run in journal.open_runs() for effect in journal.effects_in(EffectState.IN_FLIGHT, run.id)]
        if flying:
            journal.commit([SaveEffect(replace(e, at=now, until=now + (e.until - e.at))) for e in flying])

    def go_on(self) -> None:
        """With every run that has not ended."""
        self.wake(tuple(run.id for run in self._world.journal.open_runs()))

    def tick(self) -> None:
        """Go on with the runs that have something to do, and remind of gates that nobody answers."""
        now = self._world.clock.cautious_now()
        for run in self._world.journal.open_runs():
            step = run.current
            waits = step and step.state is StepState.WAITING and (step.wake_at is None or step.wake_at > now)
            if not waits and not run.holds and not (step and step.state in BROKEN) and run.id not in self._driving:
                self.wake((run.id,))
        self._remind()

    def close(self, seconds: float) -> None:
        """Let effects in flight come to their end, at most so long, and begin no others. Runs go on after a start.

        What has not ended by then is not cut off: the next life looks what became of it.
        """
        with self._mutex:
            self._closing = True
            for cancel in self._cancels.values():
                cancel.stand_still()
        self.settle(seconds)

    def settle(self, seconds: float) -> bool:
        """Wait until no run is being driven; false if one still is after so long."""
        with self._mutex:
            return self._idle.wait_for(lambda: not self._driving, seconds)

    def _drive(self, run_id: int) -> None:
        while True:
            try:
                Driver(self._world, run_id, self._cancel(run_id)).drive()
            except Exception:
                log.exception("run %s could not be driven; the next tick tries again", run_id)
            with self._mutex:
                if not self._driving[run_id]:
                    del self._driving[run_id]
                    self._idle.notify_all()
                    return
                self._driving[run_id] = False

    def _remind(self) -> None:
        now = self._world.clock.now()
        for ask in self._world.journal.open_asks():
            policy = self._world.policy(ask.gate_id)
            if now - (ask.reminded_at or ask.opened_at) < policy.remind:
                continue
            if policy.hours and not policy.hours.is_open(now):
                continue
            with self._world.lock:
                if self._world.journal.ask(ask.run_id, ask.gate_id) != ask:
                    continue  # answered meanwhile
                run = self._world.journal.run(ask.run_id)
                notice = reminder(run, ask, policy, self._world.people, now)
                told = self._world.everywhere(reminder_key(ask, now), notice, card_key(run), run.place)
                before = asking.no_longer_reminded(self._world, run, ask)
                self._world.journal.commit([SaveAsk(replace(ask, reminded_at=now)), *before, *told])

    # ---- small things ------------------------------------------------------------------------------------------

    def _changed(self, run: Run, *more: Change) -> Outcome:
        return Outcome(changes=(SaveRun(run), *more, *card_changes(self._world, run)), wake=(run.id,))

    def _in_doubt(self, run: Run, step: StepRecord) -> list[str]:
        """Effects of the step's present round that were begun, and may or may not have happened."""
        effects = self._world.journal.effects(run.id, step.id, step.round)
        return [key for key, effect in effects.items() if effect.state is EffectState.IN_FLIGHT]

    def _half_done(self, run: Run) -> list[str]:
        """Effects that broke off, unless their step came to its end after all."""
        broken_off = self._world.journal.effects_in(EffectState.BROKEN_OFF, run.id)
        return [effect.key for effect in broken_off if run.step(effect.step_id).state is not StepState.DONE]

    def _voided(self, run: Run, step_id: str = "", states: frozenset[AskState] = UNANSWERED) -> list[Change]:
        """Close what the run, or that step of it, is asking or was told."""
        mine = [ask for ask in self._world.journal.asks(run.id) if ask.state in states]
        asks = [ask for ask in mine if step_id in {"", ask.gate_id, asking.step_of(ask)}]
        return [change for ask in asks for change in asking.closed(self._world, run, ask, AskState.VOID)]

    def _cancel(self, run_id: int) -> Cancel:
        with self._mutex:
            cancel = self._cancels.setdefault(run_id, Cancel())
            if self._closing:
                cancel.stand_still()
            return cancel

    def _instead_of_skip(self, run: Run, step_id: str) -> str:
        procedure = self._world.registry.procedures.get(run.procedure)
        item = procedure.item(step_id) if procedure else None
        return item.instead_of_skip if isinstance(item, Step) else ""

    def _step(self, run: Run, step_id: str) -> StepRecord:
        try:
            return run.step(step_id)
        except KeyError:
            names = listed([step.id for step in run.steps])
            raise UserError(f"{run.title} has no step {step_id}. Its steps: {names}") from None


def _still_held(run: Run) -> str:
    """Who else holds the run and how that is lifted; empty if nobody does."""
    lifted = {HoldKind.HOLD: "!unhold lifts it", HoldKind.PAUSE: "!release continue ends it"}
    lines = [
        f"{h.kind.value} by {h.person}: {h.reason} ({lifted.get(h.kind, lifted[HoldKind.PAUSE])})" for h in run.holds
    ]
    return f"{run.title} stands still, {listed(lines)}" if lines else ""


def _refused(effect: Effect) -> SaveEffect:
    return SaveEffect(replace(effect, state=EffectState.REFUSED))
