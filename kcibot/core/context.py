"""What a step is given while it runs: above all `effect`, the only way in which it changes the world."""

import logging
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from kcibot.core.access import Person
from kcibot.core.asking import approval
from kcibot.core.cancel import Cancel
from kcibot.core.card import card, card_key
from kcibot.core.gate import AskState
from kcibot.core.journal import Effect, EffectState, Forget, Measured, Remember, SaveEffect
from kcibot.core.notice import Notice, Progress
from kcibot.core.procedure import ARRIVES_WITHIN, Approval, Happened, Proof, Step
from kcibot.core.run import SETTLED, Run
from kcibot.core.world import BOT, World
from kcibot.errors import Aborted, BrokenOff, KcibotError, OutcomeUnknown, PermanentError, TransientError

log = logging.getLogger(__name__)

T = TypeVar("T")
E = TypeVar("E")
S = TypeVar("S")

CARD_SECONDS = 5.0


class StandStill(Exception):
    """People want the run to stand still: the step stops between two effects and is entered again later."""


class NotYet(Exception):
    """An effect is still in flight, and may arrive: the step waits until then, and looks again."""

    def __init__(self, until: datetime, text: str) -> None:
        super().__init__(text)
        self.until = until


class StepContext:
    """Fulfils `procedure.Context` for one step of one run."""

    def __init__(self, world: World, run: Run, step_id: str, cancellation: Cancel) -> None:
        self.run = run
        self.cancellation = cancellation
        self.ports = world.ports
        self.clock = world.clock
        self.people = world.people
        self.hours = world.hours
        self._world = world
        self._step_id = step_id
        self._shown_at = world.clock.steady()

    @property
    def starter(self) -> Person:
        return self.people.get(self.run.starter)

    @property
    def memory(self) -> object:
        record = self.run.step(self._step_id)
        return None if record.state in SETTLED else record.value

    def folder(self, name: str) -> Path:
        folder = self._world.folder / f"run-{self.run.id}-{self._step_id}-{name}"
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    def settings(self, kind: type[S]) -> S:
        return self._world.settings(kind)

    def args(self, kind: type[S]) -> S:
        return self._world.journal.codec.load(kind, self.run.args)

    def result(self, step: Step[T]) -> T:
        if not self.has_result(step):
            raise PermanentError(f"this needs the result of “{step.title}”, which did not run here")
        return self._world.journal.codec.load(step.result, self.run.step(step.id).value)

    def has_result(self, step: Step[T]) -> bool:
        return any(r.id == step.id and r.state in SETTLED and r.value is not None for r in self.run.steps)

    def effect(
        self, key: str, act: Callable[[], E], probe: Callable[[], Proof[E]], late: timedelta = ARRIVES_WITHIN
    ) -> E:
        """See `procedure.Context.effect`."""
        journal = self._world.journal
        known = journal.effects(self.run.id, self._step_id, self._round).get(key)
        if known and known.state is EffectState.DONE:
            return known.value  # type: ignore[return-value]  # what this very effect returned before
        if known and known.state is EffectState.IN_FLIGHT:
            proof = self._proof(key, probe, f"“{key}” was begun before I was stopped")
            if isinstance(proof, Happened):
                return self._record(key, proof.value, "found done")
            if self.clock.cautious_now() < known.until:
                raise NotYet(known.until, f"“{key}” was begun and has not happened so far; I look again")
        self._take_off(key, late)
        try:
            value = act()
        except OutcomeUnknown as error:
            # what was sent may arrive late from now on, however long ago it was begun
            journal.commit([SaveEffect(self._effect(key, EffectState.IN_FLIGHT, late=late))])
            proof = self._proof(key, probe, str(error))
            if isinstance(proof, Happened):
                return self._record(key, proof.value, "found done")
            raise TransientError(f"{error}; I looked, and it has not happened so far") from error
        except BrokenOff:
            self._settle(key, EffectState.BROKEN_OFF)
            raise
        except (TransientError, PermanentError):
            self._settle(key, EffectState.REFUSED)
            raise
        except Aborted as error:
            self._settle(key, EffectState.REFUSED)
            raise StandStill from error
        # outside of the `try`: if it cannot be recorded now, it has happened all the same
        return self._record(key, value, "done")

    def keep(self, key: str, look: Callable[[], E]) -> E:
        """See `procedure.Context.keep`."""
        known = self._world.journal.effects(self.run.id, self._step_id, self._round).get(key)
        if known and known.state is EffectState.SEEN:
            return known.value  # type: ignore[return-value]  # what was seen under this very key before
        value = look()
        self._world.journal.commit([SaveEffect(self._effect(key, EffectState.SEEN, value))])
        return value

    def report(self, text: str, progress: Progress | None = None) -> None:
        """See `procedure.Context.report`. The card is edited every few seconds at most."""
        if self.clock.steady() - self._shown_at < CARD_SECONDS:
            return
        self._shown_at = self.clock.steady()
        try:
            self._show(text, progress)
        except KcibotError as error:
            # it is called in the middle of an effect, which must not be taken for refused
            log.warning("run %s: progress was not shown: %s", self.run.id, error)

    def _show(self, text: str, progress: Progress | None) -> None:
        with self._world.lock:
            run = self._world.journal.run(self.run.id)
            if not run.ended and self._world.has_card(run):
                notice = card(run, self.clock.now(), progress, text)
                self._world.journal.submit(self._world.everywhere(card_key(run), notice, origin=run.place))

    def say(self, key: str, notice: Notice) -> None:
        key = f"run:{self.run.id}:{self._step_id}:{self._round}:{key}"
        self._world.journal.commit(self._world.everywhere(key, notice, card_key(self.run), self.run.place))

    def remember(self, topic: str, key: str, value: object) -> None:
        self._world.journal.commit([Remember(topic, key, value)])

    def forget(self, topic: str, key: str) -> None:
        self._world.journal.commit([Forget(topic, key)])

    def recall(self, topic: str) -> Mapping[str, object]:
        return self._world.journal.recall(topic)

    def measured(self, *ended: Measured) -> None:
        if ended:
            self._world.journal.submit(ended)

    def history(self, kind: str, name: str, newest: int = 20) -> tuple[Measured, ...]:
        return self._world.journal.history(kind, name, newest)

    def audit_head(self) -> str:
        return self._world.journal.audit_head()

    def approvals(self) -> tuple[Approval, ...]:
        asks = self._world.journal.asks(self.run.id)
        return tuple(approval(self._world, self.run, ask) for ask in asks if ask.state is AskState.APPROVED)

    def claim(self, topic: str, key: str, value: object) -> object:
        """Remember the value unless there is one already; return the one that stands."""
        with self._world.lock:
            standing = self.recall(topic).get(key)
            if standing is None:
                self.remember(topic, key, value)
                return value
            return standing

    @property
    def _round(self) -> int:
        return self.run.step(self._step_id).round

    def _effect(self, key: str, state: EffectState, value: object = None, late: timedelta = timedelta()) -> Effect:
        until = self.clock.cautious_now() + late
        return Effect(self.run.id, self._step_id, self._round, key, state, self.clock.now(), until, value)

    def _record(self, key: str, value: E, how: str) -> E:
        audit = self._world.audit(BOT, f"effect {how}", f"{self.run.title}: {key}", run=self.run.id)
        self._world.journal.commit([SaveEffect(self._effect(key, EffectState.DONE, value)), audit])
        return value

    def _settle(self, key: str, state: EffectState) -> None:
        """It is over, and was not done, or not to its end."""
        audit = self._world.audit(BOT, f"effect {state.value}", f"{self.run.title}: {key}", run=self.run.id)
        self._world.journal.commit([SaveEffect(self._effect(key, state)), audit])

    def _proof(self, key: str, probe: Callable[[], Proof[E]], story: str) -> Proof[E]:
        """What the world says. Not being able to see is an unknown outcome, never a "no"."""
        try:
            return probe()
        except BrokenOff:
            self._settle(key, EffectState.BROKEN_OFF)
            raise
        except KcibotError as error:
            why = f": {error}" if str(error) != story else ""
            raise OutcomeUnknown(f"{story}; I cannot tell whether it happened{why}") from error

    def _take_off(self, key: str, late: timedelta) -> None:
        """Begin, unless people have decided otherwise: what they decide from now on finds the effect in flight."""
        with self._world.lock:
            run = self._world.journal.run(self.run.id)
            now = run.current
            mine = now is not None and (now.id, now.round) == (self._step_id, self._round)
            if self.cancellation.standing or run.holds or run.ended or not mine:
                raise StandStill
            self._world.journal.commit([SaveEffect(self._effect(key, EffectState.IN_FLIGHT, late=late))])
