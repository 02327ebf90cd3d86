"""Lines as bytes: whatever is said or heard, one line stays one line, and fits."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcibot.chat.irc.lines import LONGEST_LINE, Line, Received, compose, fold, heard, parse, sayable
from kcibot.chat.irc.queue import Bucket, Lane, SendQueue
from kcibot.chat.irc.split import room, split
from kcibot.errors import TransientError

ANYTHING = st.text(st.characters(codec=None), max_size=1200)
FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"


@given(ANYTHING, ANYTHING)
def test_carriage_return_line_feed_and_nul_never_make_a_second_command(target: str, text: str) -> None:
    for data in (compose("PRIVMSG", target, text=text), compose("JOIN", target), compose("QUIT", text=text)):
        assert data.endswith(b"\r\n")
        assert not {b"\r", b"\n", b"\0"} & {bytes([byte]) for byte in data[:-2]}
        assert data.split(b" ")[0] in (b"PRIVMSG", b"JOIN", b"QUIT")


@given(st.text(st.characters(codec=None), max_size=60), ANYTHING)
def test_a_parameter_never_becomes_two_or_the_text(target: str, text: str) -> None:
    line = parse(compose("PRIVMSG", target, text=text).decode().rstrip("\r\n"))
    assert line is not None
    assert line.command == "PRIVMSG"
    assert len(line.params) == 2


def test_a_line_that_hides_a_quit_goes_out_as_text() -> None:
    assert compose("PRIVMSG", "#c", text="a\rQUIT\n\0b") == b"PRIVMSG #c :a QUIT  b\r\n"


@given(ANYTHING)
def test_no_control_code_but_bold_is_said(text: str) -> None:
    left = {letter for letter in sayable(text) if ord(letter) < 32 or 127 <= ord(letter) < 160}
    assert left <= {"\x02", "\x0f"}


def test_the_colours_of_a_client_do_not_hide_a_command() -> None:
    assert heard("\x02!release\x0f \x0304,01plan\x03\t2") == "!release plan 2"


# ---- length ------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(ANYTHING, st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=90))
def test_what_the_server_passes_on_is_never_cut(text: str, mask: str) -> None:
    most = room(mask, "#kernelci")
    pieces = list(split(sayable(text), most))
    for piece in pieces:
        passed_on = f":{mask} ".encode() + compose("PRIVMSG", "#kernelci", text=piece)
        assert len(passed_on) <= 512
    said = sayable(text).encode(errors="replace").decode()
    assert "".join(pieces).encode(errors="replace").decode().replace(" ", "") == said.replace(" ", "")


@pytest.mark.parametrize("text", ["x" * 3000, "é" * 1500, "\N{THUMBS UP SIGN}" * 700, "word " * 600])
def test_a_line_that_is_passed_on_is_as_full_as_it_may_be_and_no_fuller(text: str) -> None:
    mask = "relbot!relbot@somewhere.example.org"
    first = next(split(text, room(mask, "#rel")))
    size = len(f":{mask} ".encode() + compose("PRIVMSG", "#rel", text=first))
    assert 508 < size <= 512


def test_a_long_line_is_cut_between_words() -> None:
    assert list(split("aaa bbb ccc ddd", 8)) == ["aaa bbb", "ccc ddd"]
    assert list(split("aaa bbbb", 7)) == ["aaa", "bbbb"]


def test_a_character_is_never_cut_in_two() -> None:
    pieces = list(split("é" * 100, 41))
    assert all(len(piece.encode()) <= 41 for piece in pieces)
    assert "".join(pieces) == "é" * 100


def test_an_accent_stays_with_its_letter_and_a_family_together() -> None:
    combining = "e\N{COMBINING ACUTE ACCENT}" * 30
    assert all(not piece.startswith("\N{COMBINING ACUTE ACCENT}") for piece in split(combining, 40))
    assert list(split(f"{'x' * 30}{FAMILY}", 40)) == ["x" * 30, FAMILY]


# ---- what comes --------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300)))
def test_any_bytes_are_lines_and_no_line_ends_the_reading(chunks: list[bytes]) -> None:
    received = Received()
    for chunk in chunks:
        for text in received.feed(chunk):
            line = parse(text)
            assert line is None or line.command


def test_lines_are_the_same_however_slowly_they_come_and_may_be_ten_kilobytes_long() -> None:
    data = b":a PRIVMSG #c :" + b"x" * 10_000 + b"\r\nPING z\n:a PRIVMSG #c :Ol\xc3\xa9\r\n\r\n"
    slow, fast = Received(), Received()
    byte_by_byte = [text for number in range(len(data)) for text in slow.feed(data[number : number + 1])]
    assert byte_by_byte == fast.feed(data)
    assert len(byte_by_byte[0]) == len(":a PRIVMSG #c :") + 10_000


@given(st.text(max_size=300))
def test_any_text_can_be_parsed(text: str) -> None:
    line = parse(text)
    if line:
        assert isinstance(line.nick, str)
        assert line.param(20) == ""


def test_tags_come_in_any_order_and_are_unescaped() -> None:
    line = parse(r"@msgid=1~2;+draft/react=👍;note=a\sb\:c\\;empty :a!u@h TAGMSG :#rel")
    assert line == Line(
        "TAGMSG", ("#rel",), "a!u@h", {"msgid": "1~2", "+draft/react": "👍", "note": r"a b;c" + "\\", "empty": ""}
    )


def test_a_list_with_a_blank_at_its_end_is_one_parameter() -> None:
    line = parse(":s CAP * ACK :sasl ")
    assert line
    assert line.text.split() == ["sasl"]


def test_other_blanks_than_the_ascii_one_do_not_part_parameters() -> None:
    line = parse(":a ACCOUNT one\N{NO-BREAK SPACE}two")
    assert line
    assert line.params == ("one\N{NO-BREAK SPACE}two",)


def test_bytes_that_are_no_utf_8_are_read_all_the_same() -> None:
    assert Received().feed(b":a PRIVMSG #c :Ol\xe9\r\nPING x\n") == [":a PRIVMSG #c :Olé", "PING x"]


def test_a_line_without_end_is_thrown_away_with_its_end() -> None:
    received = Received()
    assert received.feed(b"x" * (LONGEST_LINE + 1)) == []
    assert received.feed(b" :boss PRIVMSG #rel :!stop\r\nPING a\r\n") == ["PING a"]


def test_a_tag_that_we_send_cannot_end_the_tags() -> None:
    line = parse(compose("TAGMSG", "#c", tags={"+a": "x; y\r\n\\"}).decode().rstrip("\r\n"))
    assert line
    assert line.tags == {"+a": "x; y\r\n\\"}


def test_names_are_equal_as_the_server_says() -> None:
    assert fold("Nick[1]^") == fold("nICK{1}~")
    assert fold("Nick[1]", "ascii") != fold("nick{1}", "ascii")
    assert fold("Nick[1]", "rfc1459-strict") == fold("nick{1}", "rfc1459-strict")
    assert fold("a^", "rfc1459-strict") != fold("a~", "rfc1459-strict")
    assert fold("stra\N{LATIN SMALL LETTER SHARP S}e", "precis") != fold("strasse", "precis")
    assert fold("\N{KELVIN SIGN}im") != fold("kim")


# ---- pace --------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.floats(0.2, 20), st.integers(1, 10))
def test_never_more_lines_than_the_network_takes(pauses: list[float], rate: float, burst: int) -> None:
    now, sent = 100.0, []
    bucket = Bucket(rate, burst, now)
    for pause in pauses:
        now += max(pause, bucket.delay(now, Lane.NORMAL) + 1e-9)
        assert bucket.delay(now, Lane.NORMAL) == 0
        bucket.take()
        sent.append(now)
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= burst + (sent[last] - begin) * rate + 1.001


def test_what_is_urgent_goes_ahead_and_takes_its_tokens_too() -> None:
    queue = SendQueue(rate=0.001, burst=2)
    queue.put([b"one", b"two"], 1)
    queue.offer([b"PONG"], Lane.URGENT)
    taken = [queue.poll() for _ in range(3)]
    assert [ticket.data for ticket in taken if ticket] == [b"PONG", b"one"]
    queue.offer([b"PONG"], Lane.URGENT)
    last = queue.poll()
    assert last
    assert last.data == b"PONG"


def test_a_full_queue_never_blocks_who_must_not_wait() -> None:
    queue = SendQueue(rate=0.001, burst=1, longest=2)
    assert len(queue.offer([b"a", b"b"], Lane.NORMAL)) == 2
    assert queue.offer([b"c"], Lane.NORMAL) == ()
    assert queue.offer([b"PONG"], Lane.URGENT)


def test_who_may_wait_gets_room_or_is_told() -> None:
    queue = SendQueue(rate=1000, burst=1, longest=1)
    queue.put([b"a"], 1)
    done = threading.Event()

    def second() -> None:
        queue.put([b"b"], 5)
        done.set()

    threading.Thread(target=second, daemon=True).start()
    assert queue.wait()
    assert queue.poll()
    assert done.wait(5)


def test_what_waits_when_the_connection_ends_certainly_was_not_sent() -> None:
    queue = SendQueue(rate=0.001, burst=1)
    first, second = queue.put([b"a", b"b"], 1)
    assert queue.poll() is first
    queue.close("gone")
    assert isinstance(second.written.exception(), TransientError)
    assert queue.poll() is None
    assert not queue.wait()
