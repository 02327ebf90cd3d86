"""What happens inside the stand-in: queueing, starting, ending and stopping builds, and going down and up again.

Freestyle builds take an executor. **Pipeline jobs were not recorded**: that they run on one-off executors, start
although all executors are busy, have no `disabled` in their JSON, and are killed by a restart is imitated from
published samples and from what the multi-configuration parent does; `node` blocks inside them are not imitated.
"""

import itertools
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from kcibot.sandbox.jenkins.config import Kind, parse_config, with_disabled, without_timer
from kcibot.sandbox.jenkins.cron import next_fire
from kcibot.sandbox.jenkins.loop import VirtualLoop
from kcibot.sandbox.jenkins.model import (
    TIMER,
    Cause,
    Executor,
    Item,
    ItemState,
    Job,
    JobTree,
    Node,
    ParameterValue,
    Run,
    UpstreamCause,
    UserCause,
)
from kcibot.sandbox.jenkins.running import Behaviour, Execution, succeed_after
from kcibot.sandbox.jenkins.waiting import WaitingRoom

QUIET_SECONDS = 5.0
TICK_SECONDS = 5.0
"""Nothing else stirring, the queue is looked at in steps of about five seconds: the quiet period is a lower bound."""
STIR_SECONDS = 0.005
"""A new request stirs the queue, a moment later."""
START_SECONDS = 0.005
"""Between leaving the queue and having a build: left is not started."""


class World:
    """Everything the server knows. All of it is used under `loop.lock`."""

    def __init__(self, loop: VirtualLoop, nodes: list[Node]) -> None:
        self.loop = loop
        self.nodes = nodes
        self.jobs = JobTree()
        self.queue = WaitingRoom()
        self.behaviours: dict[str, Behaviour] = {}
        self.default_behaviour: Behaviour = succeed_after(0.1)
        self.loses_timer_at_restart: set[str] = set()
        self.restart_wanted = False  # a safe restart waits for the running builds, not for the queue
        self.restart_now: Callable[[], None] = lambda: None
        self.up = True
        self.session = ""
        self._starts = itertools.count(1)
        self._executions: dict[Run, Execution] = {}
        self._tick_at: float | None = None
        self.new_session()

    # ---- jobs --------------------------------------------------------------------------------------------------

    def create(self, parent: Job | None, name: str, xml: str, *, held: bool = False) -> Job:
        """Raises BadConfig."""
        job = Job(name, parent, xml, parse_config(xml), held=held)
        self.jobs.add(job)
        self._arm_timer(job)
        return job

    def reconfigure(self, job: Job, xml: str) -> None:
        """Raises BadConfig. Does not release a held copy."""
        job.reconfigure(xml)
        self._arm_timer(job)
        if job.config.disabled:
            self._cancel_items(job)
        self.maintain()

    def set_disabled(self, job: Job, *, disabled: bool) -> None:
        job.held = job.held and disabled
        self.reconfigure(job, with_disabled(job.xml, disabled=disabled))

    def delete(self, job: Job) -> None:
        """A running build is interrupted first; what waits is cancelled."""
        for child in list(job.children.values()):
            self.delete(child)
        for run in job.running:
            self._executions[run].abandon()
            self._close(run, "ABORTED")
        job.deleted = True
        self._cancel_items(job)
        self.jobs.remove(job)

    def rename(self, job: Job, name: str) -> None:
        self.jobs.remove(job)
        job.name = name
        self.jobs.add(job)

    # ---- queue -------------------------------------------------------------------------------------------------

    def schedule(
        self, job: Job, values: Mapping[str, str], causes: list[Cause], quiet: float | None = None
    ) -> Item | None:
        """Queue a build, or merge it with an equal one that waits. None: the job is not buildable."""
        if not job.buildable:
            return None
        if quiet is None:
            quiet = QUIET_SECONDS if job.config.quiet_seconds is None else job.config.quiet_seconds
        now = self.loop.now()
        item = self.queue.merge_or_add(job, self._parameters(job, values), causes, now, quiet)
        self.maintain()
        self.loop.after(STIR_SECONDS, self.maintain)
        return item

    def trigger_from(self, run: Run, job: str, parameters: Mapping[str, str]) -> Item:
        """As Pipeline's `build` step does: with an upstream cause, after the job's own quiet period."""
        target = self.jobs.find(job)
        item = self.schedule(target, parameters, [self.cause_of(run)]) if target else None
        if item is None:
            raise LookupError(f"No item named {job} found, or it cannot be built")
        return item

    def abort(self, items: Sequence[Item], by: str) -> None:
        """Cancel what waits and stop what runs, as an aborted `build` step does with its children."""
        for item in items:
            if item.state is not ItemState.LEFT:
                self.queue.leave(item, self.loop.now(), cancelled=True)
            elif item.run:
                self.stop(item.run, by)
            elif not item.cancelled:  # it left and has not started yet
                self.loop.after(START_SECONDS, partial(self.abort, [item], by))
        self.maintain()

    def cause_of(self, run: Run) -> UpstreamCause:
        return UpstreamCause(run.job.full_name, run.number, run.job.path)

    def cancel(self, item: Item) -> None:
        self.queue.leave(item, self.loop.now(), cancelled=True)
        self.maintain()

    def maintain(self) -> None:
        """Move every item on as far as it goes now."""
        if not self.up:
            return
        now = self.loop.now()
        for item in list(self.queue.active):
            if item.state is ItemState.WAITING and item.due <= now:
                item.state, item.buildable_since = ItemState.BUILDABLE, now
            if item.state is not ItemState.WAITING:
                item.state = ItemState.BLOCKED if self._blocked(item.job) else ItemState.BUILDABLE
            if item.state is ItemState.BUILDABLE and not self.queue.quieting_down:
                self._try_to_start(item)
        self._plan_tick(now)
        if self.restart_wanted and not self._executions:
            self.restart_wanted = False
            self.loop.after(0.0, self.restart_now)

    def _plan_tick(self, now: float) -> None:
        dues = [item.due for item in self.queue.active if item.state is ItemState.WAITING]
        if not dues:
            return
        tick = max(-(-min(dues) // TICK_SECONDS) * TICK_SECONDS, now)
        if self._tick_at is None or tick < self._tick_at or self._tick_at < now:
            self._tick_at = tick
            self.loop.at(tick, self._tick)

    def _tick(self) -> None:
        self._tick_at = None
        self.maintain()

    def _blocked(self, job: Job) -> bool:
        return not job.config.concurrent and bool(job.running or job.about_to_start)

    def _cancel_items(self, job: Job) -> None:
        for item in self.queue.of_job(job):
            self.queue.leave(item, self.loop.now(), cancelled=True)

    def _parameters(self, job: Job, values: Mapping[str, str]) -> tuple[ParameterValue, ...]:
        """Every defined parameter, with its default where none is given; others are dropped."""
        return tuple(
            ParameterValue(one.kind, one.name, values.get(one.name, one.default)) for one in job.config.parameters
        )

    # ---- builds ------------------------------------------------------------------------------------------------

    def _try_to_start(self, item: Item) -> None:
        executor = self._place_for(item.job)
        if executor is None:
            return
        executor.item = item
        item.job.about_to_start += 1
        self.queue.leave(item, self.loop.now(), cancelled=False)
        self.loop.after(START_SECONDS, lambda: self._start(item, executor))

    def _place_for(self, job: Job) -> Executor | None:
        able = [node for node in self.nodes if not node.offline and _fits(job.config.label, node)]
        if job.config.kind is Kind.PIPELINE:
            if not able:
                return None
            node = able[zlib.crc32(job.full_name.encode()) % len(able)]
            node.one_offs.append(Executor(-1))
            return node.one_offs[-1]
        return next((executor for node in able for executor in node.executors if executor.idle), None)

    def _start(self, item: Item, executor: Executor) -> None:
        if executor.item is not item:
            return
        job = item.job
        if job.deleted:
            executor.item = None
            self._vacate(executor)
            return
        run = Run(job, job.next_number, item.item_id, item.parameters, tuple(item.causes), self.loop.now(), executor)
        run.node = next(node.name for node in self.nodes if executor in node.executors + node.one_offs)
        run.log.extend(cause.text for cause in run.causes)
        job.next_number += 1
        job.about_to_start -= 1
        job.runs[run.number] = item.run = executor.run = run
        executor.item = None
        execution = Execution(self, run, item, self.behaviours.get(job.full_name, self.default_behaviour))
        self._executions[run] = execution
        execution.begin()

    def finished(self, execution: Execution, result: str) -> None:
        run = execution.run
        run.log.append(f"Finished: {result}")
        if result == "SUCCESS":
            self._trigger_downstream(run)
        self._close(run, result)
        execution.item.tell_watchers()
        self.maintain()

    def stop(self, run: Run, user: str) -> None:
        if run.building:
            self._executions[run].stop(user)

    def lose(self, node: Node) -> None:
        """An agent's connection breaks: what ran there is a FAILURE, not ABORTED."""
        node.connected = False
        for executor in node.executors + node.one_offs:
            if executor.run:
                execution = self._executions[executor.run]
                execution.abandon()
                self.finished(execution, "FAILURE")

    def _close(self, run: Run, result: str) -> None:
        run.ended, run.result = self.loop.now(), result
        self._executions.pop(run, None)
        self._release(run)

    def _release(self, run: Run) -> None:
        if run.executor is None:
            return
        run.executor.run = None
        self._vacate(run.executor)
        run.executor = None

    def _vacate(self, executor: Executor) -> None:
        """One-off executors vanish with what ran on them."""
        for node in self.nodes:
            if executor in node.one_offs:
                node.one_offs.remove(executor)

    def _trigger_downstream(self, run: Run) -> None:
        for name in run.job.config.downstream:
            target = self.jobs.find(name)
            if target:
                self.schedule(target, {}, [self.cause_of(run)])

    # ---- timers ------------------------------------------------------------------------------------------------

    def _arm_timer(self, job: Job) -> None:
        """A timer that is not the job's any more when it goes off does nothing."""
        spec = job.config.timer
        now = datetime.fromtimestamp(self.loop.now(), UTC)
        moment = next_fire(spec, job.full_name, now) if spec else None
        if moment:
            config = job.config
            self.loop.at(moment.timestamp(), lambda: self._ring(job, config is job.config))

    def _ring(self, job: Job, still_mine: bool) -> None:  # noqa: FBT001 (private)
        if not still_mine or job.deleted:
            return
        if self.up:
            self.schedule(job, {}, [TIMER])
        self._arm_timer(job)

    # ---- going down and up -------------------------------------------------------------------------------------

    def go_down(self, *, killed: bool) -> None:
        """What is lost at once. SIGTERM: running builds end ABORTED. SIGKILL: freestyle builds leave no record."""
        self.up = False
        for execution in list(self._executions.values()):
            run = execution.run
            execution.abandon()
            self._close(run, "ABORTED")
            if killed and run.job.config.kind is Kind.FREESTYLE:
                del run.job.runs[run.number]
        for node in self.nodes:
            node.one_offs.clear()
            for executor in node.executors:
                executor.item = None
        self.queue.after_restart(self.loop.now(), killed=killed)

    def come_up(self) -> None:
        """A new session; fresh copies are buildable now, and some timers are lost."""
        self.new_session()
        self._tick_at = None
        for job in self.jobs.walk():
            job.held, job.about_to_start = False, 0
            if job.full_name in self.loses_timer_at_restart:
                job.reconfigure(without_timer(job.xml))
        self.up = True
        self.maintain()

    def new_session(self) -> None:
        self.session = f"{zlib.crc32(f'{self.loop.now()}/{next(self._starts)}'.encode()):08x}"


def _fits(label: str, node: Node) -> bool:
    return not label or label in node.all_labels


def by_user(user: str) -> list[Cause]:
    return [UserCause(user)]
