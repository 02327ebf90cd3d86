from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot.core.digest import canonical
from kcibot.core.notice import Field, Level, Notice, Progress
from kcibot.errors import PermanentError
from kcibot.store.codec import PydanticCodec

CODEC = PydanticCodec()


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    at: datetime
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...]
    named: Mapping[str, Inner]
    counts: Mapping[str, int] = field(default_factory=dict)
    pair: tuple[int, str] = (1, "one")
    span: timedelta = timedelta(hours=1)
    maybe: Inner | None = None
    ratio: float = 0.5
    flag: bool = False
    anything: object = None


@dataclass(frozen=True)
class Picky:
    password: str

    def __post_init__(self) -> None:
        if self.password:
            raise ValueError(f"not {self.password}")


INNER = Inner("a", datetime(2019, 6, 3, 12, 0, 0, 5, tzinfo=UTC), Colour.BLUE)
OUTER = Outer(
    INNER, (INNER,), {"x": INNER}, {"n": 1}, (2, "two"), timedelta(days=2), INNER, 1.5, True, {"k": [1, None]}
)


@pytest.mark.parametrize("value", [OUTER, Outer(INNER, (), {}), INNER, "text", 5, 1.5, True, None, Colour.RED])
def test_a_value_comes_back_as_it_was(value: object) -> None:
    dumped = CODEC.dump(value)
    canonical(dumped)
    loaded = CODEC.load(type(value), dumped)
    assert loaded == value
    assert type(loaded) is type(value)


def test_a_tuple_of_values_is_dumped_each_as_what_it_is() -> None:
    assert CODEC.dump((INNER, Colour.RED)) == [CODEC.dump(INNER), "red"]


words = st.text(max_size=10)


@given(
    st.builds(
        Notice,
        title=words,
        level=st.sampled_from(Level),
        lines=st.lists(words, max_size=3).map(tuple),
        fields=st.lists(st.builds(Field, words, words), max_size=2).map(tuple),
        progress=st.none() | st.builds(Progress, st.integers(), st.integers(), words),
    )
)
def test_any_notice_comes_back_as_it_was(notice: Notice) -> None:
    assert CODEC.load(Notice, CODEC.dump(notice)) == notice


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"pair": ["hunter2", "b"]}, "pair.0"),
        ({"pair": [1]}, "pair.1"),
        ({"counts": {"n": "hunter2"}}, "counts.n"),
        ({"inner": None}, "inner"),
        ({"many": [{"name": "a"}]}, "many.0.at"),
        ({"flag": "hunter2"}, "flag"),
        ({"inner": {"name": 5, "at": "hunter2", "colour": "hunter2"}}, "inner.colour"),
    ],
)
def test_what_does_not_fit_is_refused_by_place_and_without_values(changes: dict[str, object], place: str) -> None:
    stored = CODEC.dump(OUTER)
    assert isinstance(stored, dict)
    with pytest.raises(PermanentError) as raised:
        CODEC.load(Outer, {**stored, **changes})
    assert f"{place}: " in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_what_a_types_own_check_says_is_not_shown() -> None:
    with pytest.raises(PermanentError) as raised:
        CODEC.load(Picky, {"password": "hunter2"})
    assert "hunter2" not in str(raised.value)
    assert "does not fit" in str(raised.value)


def test_a_field_the_code_no_longer_has_is_passed_over() -> None:
    assert CODEC.load(Progress, {"done": 1, "total": 2, "unit": "", "speed": 3}) == Progress(1, 2)


def test_what_has_no_json_is_refused() -> None:
    with pytest.raises(PermanentError, match="JSON"):
        CODEC.dump(Outer(INNER, (), {}, anything=object()))


def test_a_value_that_does_not_fit_its_own_type_is_refused_when_it_is_written() -> None:
    with pytest.raises(PermanentError, match="JSON"):
        CODEC.dump(Inner(5, INNER.at))  # type: ignore[arg-type]
