"""What every test leaves behind: nothing that is open."""

from collections.abc import Iterator

import pytest

from tests.fakes.bench import close_benches


@pytest.fixture(autouse=True)
def benches_closed() -> Iterator[None]:
    yield
    close_benches()
