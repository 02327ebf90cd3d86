"""Jenkins' queue: what waits, for what reason, and what left lately."""

import math

from kcibot.sandbox.jenkins.model import LEFT_ITEM_SECONDS, Cause, Item, ItemState, Job, Node, ParameterValue

STUCK_SECONDS = 24 * 3600.0
SAVED_AFTER_SECONDS = 60.0
"""A change of the queue is on disk about a minute later; a kill before that loses the whole queue."""


class WaitingRoom:
    """The queue items, active and lately left."""

    def __init__(self) -> None:
        self.active: list[Item] = []
        self.quieting_down = False
        self._left: dict[int, Item] = {}
        self._next_id = 1
        self._changed = -math.inf

    def merge_or_add(
        self, job: Job, parameters: tuple[ParameterValue, ...], causes: list[Cause], now: float, quiet: float
    ) -> Item:
        """An equal request that waits takes the new one in; its quiet period can only become shorter."""
        self._changed = now
        for item in self.active:
            # Both in the order of the job's definition; thousands may wait.
            if item.job is job and item.parameters == parameters:
                item.causes.extend(causes)
                item.due = min(item.due, now + quiet)
                return item
        item = Item(self._next_id, job, parameters, list(causes), now, now + quiet)
        self._next_id += 1
        self.active.append(item)
        return item

    def leave(self, item: Item, now: float, *, cancelled: bool) -> None:
        self._changed = now
        self.active.remove(item)
        item.state, item.cancelled, item.left_at = ItemState.LEFT, cancelled, now
        self._left[item.item_id] = item
        if cancelled:
            item.tell_watchers()

    def find(self, item_id: int, now: float) -> Item | None:
        for item in self.active:
            if item.item_id == item_id:
                return item
        left = self._left.get(item_id)
        return left if left and now - left.left_at < LEFT_ITEM_SECONDS else None

    def of_job(self, job: Job) -> list[Item]:
        return [item for item in self.active if item.job is job]

    def listed(self) -> list[Item]:
        """As Jenkins lists them: waiting ones by their due time, then blocked, then buildable, newest first."""
        waiting = sorted(self._in(ItemState.WAITING), key=lambda item: item.due)
        return waiting + self._in(ItemState.BLOCKED) + self._in(ItemState.BUILDABLE)[::-1]

    def after_restart(self, now: float, *, killed: bool) -> None:
        """Left items are forgotten; a kill soon after a change loses the rest, and ids begin at 1 again."""
        self._left.clear()
        self.quieting_down = False
        if killed and now - self._changed < SAVED_AFTER_SECONDS:
            self.active.clear()
            self._next_id = 1

    def _in(self, state: ItemState) -> list[Item]:
        return [item for item in self.active if item.state is state]


def why(item: Item, nodes: list[Node], now: float, *, quieting_down: bool) -> str | None:
    """Jenkins' words for what an item waits for."""
    match item.state:
        case ItemState.LEFT:
            return None
        case ItemState.WAITING:
            return f"In the quiet period. Expires in {time_span(item.due - now)}"
        case ItemState.BLOCKED:
            return _why_blocked(item.job, now)
        case ItemState.BUILDABLE:
            if quieting_down:
                return "Jenkins is about to shut down"
            return _why_no_executor(item.job.config.label, nodes)


def stuck(item: Item, nodes: list[Node], now: float) -> bool:
    if item.state is not ItemState.BUILDABLE:
        return False
    label = item.job.config.label
    if label and all(node.offline for node in nodes if label in node.all_labels):
        return True
    return now - item.buildable_since > STUCK_SECONDS


def _why_blocked(job: Job, now: float) -> str:
    running = job.running
    if not running:
        return "A build is already in progress"
    left = job.estimate_ms / 1000 - (now - running[0].started)
    eta = time_span(left) if job.estimate_ms > 0 and left > 0 else "N/A"
    return f"Build #{running[0].number} is already in progress (ETA: {eta})"


def _why_no_executor(label: str, nodes: list[Node]) -> str:
    able = [node for node in nodes if label in node.all_labels]
    if label and len(able) == 1 and able[0].offline:
        return f"‘{able[0].name}’ is offline"  # noqa: RUF001 (Jenkins' own quotation marks)
    return "Waiting for next available executor"


def time_span(seconds: float) -> str:
    """A span as Jenkins writes it: `4.9 sec`, `59 sec`, `1 min 39 sec`, `13 min`, `2 hr 5 min`, `330 ms`."""
    units = (("day", 86400), ("hr", 3600), ("min", 60), ("sec", 1))
    for index, (unit, size) in enumerate(units[:-1]):
        if seconds >= size:
            count, rest = divmod(seconds, size)
            below, below_size = units[index + 1]
            shown = f"{int(count)} {unit}"
            return shown if count >= 10 else f"{shown} {int(rest // below_size)} {below}"  # noqa: PLR2004 (one digit)
    if seconds >= 10:  # noqa: PLR2004 (Jenkins shows tenths below ten seconds)
        return f"{int(seconds)} sec"
    if seconds >= 1:
        return f"{math.floor(seconds * 10) / 10:g} sec"
    return f"{max(int(seconds * 1000), 0)} ms"
