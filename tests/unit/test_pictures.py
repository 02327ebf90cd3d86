"""Pictures as PNG files: what is drawn, and that nothing but a picture is lost when it cannot be."""

import io
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from kcibot.chat import draw_picture
from kcibot.chat.pictures import NO_PICTURE, drawn_as_png
from kcibot.core.notice import Chart, Picture, Series

RISING = tuple((float(minute), float(min(220, 4 * minute))) for minute in range(63))
SLOWER = tuple((float(minute), float(min(214, 3 * minute))) for minute in range(75))
KERNELS = Chart("Kernels", "kernels", (Series("this run", RISING), Series("baseline", SLOWER)))
PICTURE = Picture("Pipe cleaner", (KERNELS,))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list of fonts is made once."""
    return tmp_path_factory.mktemp("fonts")


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image.convert("RGB")


def colours(image: Image.Image) -> set[tuple[int, int, int]]:
    return {colour for _, colour in image.getcolors(image.width * image.height) or []}  # type: ignore[misc]


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


def test_two_curves_are_drawn_in_their_colours_on_one_scale(cache: Path) -> None:
    content = drawn_as_png(PICTURE, cache)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    image = opened(content)
    assert image.size == (800, 340)
    assert {rgb(draw_picture.COLOURS[0]), rgb(draw_picture.COLOURS[1])} <= colours(image)


def test_charts_stand_one_above_the_other(cache: Path) -> None:
    tests = Chart("Tests", "test results", (Series("this run", RISING[20:]),))
    assert opened(drawn_as_png(Picture("both", (KERNELS, tests)), cache)).size == (800, 600)


@pytest.mark.parametrize("label", ["_hidden", "$x_1$ 5 $", "a\nb\x1b[2J\x00", "日本 \ud800 \u202e", "", "long " * 100])
def test_any_label_can_be_drawn(label: str, cache: Path) -> None:
    chart = Chart(label, label, (Series(label, RISING), Series(label, SLOWER)))
    assert rgb(draw_picture.COLOURS[1]) in colours(opened(drawn_as_png(Picture(label, (chart,), unit=label), cache)))


def test_ten_thousand_points_are_drawn(cache: Path) -> None:
    many = tuple((float(x), float(x % 100)) for x in range(10_000))
    chart = Chart("Many", "builds", (Series("this run", many),))
    assert rgb(draw_picture.COLOURS[0]) in colours(opened(drawn_as_png(Picture("Many", (chart,)), cache)))


def test_a_single_point_is_seen_and_an_empty_curve_is_left_out(cache: Path) -> None:
    chart = Chart("One", "builds", (Series("none", ()), Series("one", ((3.0, 5.0),))))
    image = opened(drawn_as_png(Picture("One", (chart, Chart("empty", "builds", ()))), cache))
    assert image.size == (800, 340)
    assert rgb(draw_picture.COLOURS[0]) in colours(image)


def test_of_nothing_no_picture_is_made_and_no_process_started(cache: Path) -> None:
    broken = ("-c", "raise SystemExit('started')")
    assert drawn_as_png(Picture("empty", (Chart("", "", (Series("", ()),)),)), cache, drawer=broken) == NO_PICTURE


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import time; time.sleep(60)", "timed out"),
        ("import sys; sys.exit('ModuleNotFoundError: No module named matplotlib')", "No module named matplotlib"),
        ("print('hello')", "exit code 0"),
        ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
    ],
)
def test_what_cannot_be_drawn_is_no_picture_and_the_log_says_why(
    program: str, said: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    longest = timedelta(seconds=0.5 if "sleep" in program else 30)
    assert drawn_as_png(PICTURE, cache, longest, drawer=("-c", program)) == NO_PICTURE
    assert said in caplog.text


def test_the_drawer_sees_nothing_of_the_bots_secrets(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KCIBOT_JENKINS_TOKEN", "hunter2")
    program = "import os, sys; sys.exit(' '.join(os.environ))"
    assert drawn_as_png(PICTURE, cache, drawer=("-c", program)) == NO_PICTURE
    assert "MPLBACKEND" in caplog.text
    assert "TOKEN" not in caplog.text


def test_long_runs_are_shown_in_hours() -> None:
    chart = {"series": [{"points": [[0.0, 0.0], [720.0, 1.0]]}]}
    assert draw_picture.scale({"unit": "min", "charts": [chart]}) == (1 / 60, "h")
    assert draw_picture.scale({"unit": "looks", "charts": [chart]}) == (1.0, "looks")
