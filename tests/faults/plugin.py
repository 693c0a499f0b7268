"""For pytest: the tests run on a deliberately broken build (-p tests.faults.plugin --broken-build NAME)."""

import pytest

from tests.faults.broken import BUILDS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--broken-build", action="append", default=[], choices=list(BUILDS))


def pytest_configure(config: pytest.Config) -> None:
    for name in config.getoption("--broken-build"):
        BUILDS[name]()
