"""The harness in the folder above against our receiver, and against itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def pytest_configure(config: pytest.Config) -> None:
    # Weak keys are made on purpose: a receiver must refuse them.
    config.addinivalue_line("filterwarnings", "ignore:Key size should be")
