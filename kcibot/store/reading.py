"""Rows back into the values they were written from."""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from kcibot.core.gate import Ask, AskState, Choice, Vote
from kcibot.core.journal import Audit, AuditEntry, Codec, Effect, EffectState, Measured
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.run import Hold, Run, StepKind, StepRecord, StepState
from kcibot.store.schema import runs, steps

AnyRow = Row[Any]


def read_runs(connection: Connection, codec: Codec, chosen: Select[Any]) -> tuple[Run, ...]:
    """The runs of that selection of `runs`, in its order, with their steps."""
    rows = connection.execute(chosen).all()
    wanted = (
        select(steps).where(steps.c.run_id.in_([row.id for row in rows])).order_by(steps.c.run_id, steps.c.position)
    )
    found = groupby(connection.execute(wanted), key=lambda row: int(row.run_id))
    steps_of = {run_id: tuple(to_step(row) for row in group) for run_id, group in found}
    return tuple(to_run(row, steps_of.get(row.id, ()), codec) for row in rows)


def newest_runs(count: int) -> Select[Any]:
    return select(runs).order_by(runs.c.id.desc()).limit(count)


def open_runs() -> Select[Any]:
    return select(runs).where(runs.c.ended_at.is_(None)).order_by(runs.c.id)


def one_run(run_id: int) -> Select[Any]:
    return select(runs).where(runs.c.id == run_id)


def to_run(row: AnyRow, its_steps: tuple[StepRecord, ...], codec: Codec) -> Run:
    return Run(
        id=row.id,
        procedure=row.procedure,
        title=row.title,
        starter=row.starter,
        place=Place(row.network, row.channel),
        created_at=row.created_at,
        steps=its_steps,
        args=json.loads(row.args),
        revision=row.revision,
        holds=tuple(codec.load(Hold, hold) for hold in json.loads(row.holds)),
        ended_at=row.ended_at,
        aborted=row.aborted,
    )


def to_step(row: AnyRow) -> StepRecord:
    return StepRecord(
        id=row.step_id,
        title=row.title,
        kind=StepKind(row.kind),
        state=StepState(row.state),
        text=row.text,
        round=row.round,
        failures=row.failures,
        started_at=row.started_at,
        ended_at=row.ended_at,
        wake_at=row.wake_at,
        value=json.loads(row.value),
    )


def to_ask(row: AnyRow) -> Ask:
    return Ask(
        run_id=row.run_id,
        gate_id=row.gate_id,
        ask=row.ask,
        title=row.title,
        facts=json.loads(row.facts),
        display=tuple(json.loads(row.display)),
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        state=AskState(row.state),
        reminded_at=row.reminded_at,
    )


def to_vote(row: AnyRow) -> Vote:
    return Vote(
        run_id=row.run_id,
        gate_id=row.gate_id,
        ask=row.ask,
        person=row.person,
        network=row.network,
        choice=Choice(row.choice),
        at=row.at,
        reason=row.reason,
        withdrawn=row.withdrawn,
        reacted=row.reacted,
    )


def to_effect(row: AnyRow) -> Effect:
    return Effect(
        run_id=row.run_id,
        step_id=row.step_id,
        round=row.round,
        key=row.key,
        state=EffectState(row.state),
        at=row.at,
        until=row.until,
        value=json.loads(row.value),
    )


def to_measured(row: AnyRow) -> Measured:
    return Measured(row.kind, row.name, row.ident, row.at, row.seconds, row.result)


def to_event(row: AnyRow, codec: Codec) -> Incoming:
    return Incoming(
        event_id=row.event_id,
        kind=EventKind(row.kind),
        place=Place(row.network, row.channel),
        identity=row.identity,
        nick=row.nick,
        text=row.text,
        at=row.at,
        target=None if row.target is None else codec.load(MessageRef, json.loads(row.target)),
    )


def to_entries(newest_first: Iterable[AnyRow]) -> tuple[AuditEntry, ...]:
    """Turned round: oldest first."""
    rows: Sequence[AnyRow] = list(newest_first)
    return tuple(
        AuditEntry(
            row.number, Audit(row.at, row.who, row.what, row.subject, json.loads(row.detail)), row.previous, row.hash
        )
        for row in reversed(rows)
    )
