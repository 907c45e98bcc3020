"""Fixtures: clients of each person in each SDK."""

import pytest

import support


def pytest_sessionfinish(session, exitstatus):
    """A filter that matches nothing here may match in another suite."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.option.keyword:
        session.exitstatus = pytest.ExitCode.OK


@pytest.fixture(scope="session")
def demo() -> support.Demo:
    return support.Demo.running()


@pytest.fixture
def no_foreign_person(demo):
    """A function that applies an order like that of June 12; what it applied is lifted after the test."""
    applied = []
    yield lambda: applied.append(demo.apply_order()) or applied[-1]
    for order in applied:
        demo.lift(order)
