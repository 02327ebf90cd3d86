"""What Slack sends of what people type, and how text is told that is only text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot.chat.slack.text import escape, plain, unescape
from kcibot.core.gate import Choice
from kcibot.core.reactions import choice_of
from kcibot.sandbox.slack.text import typed

NAMES = {"U0000000M1": "manager-1", "UBOT": "kcibot"}


@given(st.text())
def test_what_is_escaped_comes_back(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not set("<>") & set(escape(text))


def test_what_was_escaped_twice_is_unescaped_once() -> None:
    assert unescape("&amp;lt;!channel&amp;gt;") == "&lt;!channel&gt;"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("!ping", "!ping"),
        ("!release abort a &lt; b &amp;&amp; c &gt; d", "!release abort a < b && c > d"),
        ("<@U0000000M1> please", "@manager-1 please"),
        ("<@U0000000M1|someone> please", "@manager-1 please"),
        ("<@UBOT> !ping", "@kcibot !ping"),
        ("<@U9> <@U8|eve>", "@U9 @eve"),
        ("<#C1|kernelci> <#C2> <#C3|>", "#kernelci #C2 #C3"),
        ("<!here> <!subteam^S1|@managers> <!subteam^S1>", "@here @managers @subteam"),
        ("!x <https://kernelci.org/a?b=1&amp;c=2>", "!x https://kernelci.org/a?b=1&c=2"),
        ("!x <https://x|x> <http://kernelci.org|kernelci.org>", "!x x kernelci.org"),
        ("<mailto:a@example.org|a@example.org> <mailto:a@example.org>", "a@example.org a@example.org"),
        ("!drain\u00a0ignore\u202fx", "!drain ignore x"),
        ("!re\u200blease\ufeff", "!release"),
        ("a < b > c <", "a " + " b " + " c <"),
    ],
)
def test_what_a_person_typed_is_unwrapped(sent: str, meant: str) -> None:
    assert plain(sent, lambda user: NAMES.get(user, "")) == meant


def test_without_names_an_id_is_a_name() -> None:
    assert plain("<@U9> hi") == "@U9 hi"


def test_of_a_link_with_other_words_the_address_counts() -> None:
    """The words could be anything, a command too."""
    assert plain("<https://evil.example.org|!release abort>") == "https://evil.example.org"
    assert plain("!x <https://kernelci.org|the report>") == "!x https://kernelci.org"


@pytest.mark.parametrize("sent", ["&gt; !release prepare", "`!stop`", "```\n!stop\n```", "```!stop```", "*!stop*"])
def test_a_command_in_a_quote_or_in_code_does_not_begin_with_the_prefix(sent: str) -> None:
    assert not plain(sent).strip().startswith("!")


def test_brackets_that_people_typed_are_not_slacks() -> None:
    assert plain("!say &lt;@U0000000M1&gt; &lt;!channel&gt;") == "!say <@U0000000M1> <!channel>"


def test_smart_quotes_are_left_to_where_lines_are_parsed() -> None:
    assert plain("!drain ignore x “all of it”") == "!drain ignore x “all of it”"


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zs"]) | st.sampled_from("<>&|@#! "))
)
def test_what_slacks_own_client_sends_is_what_was_typed(text: str) -> None:
    assert plain(typed(text, {}, {})) in {text, text.replace("mailto:", "")}


@pytest.mark.parametrize("name", ["+1", "+1::skin-tone-2", "thumbsup::skin-tone-6", "white_check_mark"])
def test_a_reactions_name_is_a_vote_in_every_skin_tone(name: str) -> None:
    assert choice_of(name) is Choice.APPROVE
