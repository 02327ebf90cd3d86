"""What Slack makes of the text that people type."""

import pytest

from kcibot.sandbox.slack.text import smart, typed

USERS, CHANNELS = {"kcibot": "U1", "manager-1": "U2"}, {"releases": "C1"}


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("&lt; stays what it was", "&amp;lt; stays what it was"),
        ("@kcibot: hello", "<@U1>: hello"),
        ("@nobody", "@nobody"),
        ("@here now", "<!here> now"),
        ("#releases and #other", "<#C1|releases> and #other"),
        ("https://x.org/?a=1&b=2", "<https://x.org/?a=1&amp;b=2>"),
        ("see kernelci.org/docs", "see <http://kernelci.org/docs|kernelci.org/docs>"),
        ("to me@example.org", "to <mailto:me@example.org|me@example.org>"),
        ("v2019.10.1 file.txt", "v2019.10.1 file.txt"),
        ("<@U1> typed by hand", "&lt;@U1&gt; typed by hand"),
    ],
)
def test_typed_text_is_escaped_and_wrapped(said, sent):
    assert typed(said, USERS, CHANNELS) == sent


def test_straight_quotes_become_curly():
    assert smart("""say "it's" ('x')""") == "say \u201cit\u2019s\u201d (\u2018x\u2019)"
