"""Notices of any content whatever, for properties that must hold of all."""

from hypothesis import strategies as st

from kcibot.core.notice import Button, Chart, Field, Level, Notice, Picture, Progress, Series

NASTY = (
    "<!channel>",
    "<@U0000000M1>",
    "<https://evil.example.org|https://kernelci.org>",
    "&amp;<>&lt;",
    "```",
    "`*_~:x:",
    "\r\nQUIT :bye",
    "\x00\x01ACTION\x02\x0304,05\x1f\x16\x0f",
    "\u202e\u200b\u2066\ufeff",
    "שלום مرحبا",
    "👩‍💻🏽é",
    "\ud800",
    "https://example.org/?a=1&b=`<>",
    "!approve 0c007d",
    "  indented  columns",
    '"' * 50,
    "\\" * 50,
    "&" * 700,
    "x" * 3100,
    "word " * 900,
)
TEXTS = st.lists(st.sampled_from(NASTY) | st.text(max_size=40), max_size=5).map("".join)
LINES = st.lists(TEXTS, max_size=12) | st.tuples(TEXTS, st.sampled_from((60, 400))).map(lambda two: [two[0]] * two[1])
PICTURES = st.lists(st.tuples(TEXTS, st.integers(0, 300)), min_size=2, max_size=2).map(
    lambda two: Picture(two[0][0], (Chart(two[0][0], two[1][0], (Series("", ((0.0, two[0][1]), (9.0, two[1][1]))),)),))
)
NOTICES = st.builds(
    Notice,
    title=TEXTS,
    level=st.sampled_from(Level),
    lines=LINES.map(tuple),
    fields=st.lists(st.builds(Field, TEXTS, TEXTS), max_size=25).map(tuple),
    progress=st.none() | st.builds(Progress, st.integers(-1, 10**9), st.integers(-1, 10**9), TEXTS),
    buttons=st.lists(st.builds(Button, TEXTS, TEXTS), max_size=30).map(tuple),
    mentions=st.lists(st.sampled_from(("operator", "manager-1", "stranger", "<!channel>")), max_size=60).map(tuple),
    brief=st.just("") | TEXTS,
    milestone=st.sampled_from(("", "open")),
    picture=st.none() | PICTURES,
)
