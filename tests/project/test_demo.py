"""The demo says by its exit code whether all was as expected. `make demo` is its own test otherwise."""

from __future__ import annotations

import pytest

import demo.__main__ as demo
from demo.shell import UnexpectedError, expect


def test_what_is_not_as_expected_ends_the_demo_with_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_tell", lambda *_: expect(False, "3 images are left"))
    assert demo.main() == 1
    assert "Not as expected: 3 images are left" in capsys.readouterr().out


def test_a_demo_that_goes_well_ends_without_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_tell", lambda *_: None)
    assert demo.main() == 0
    assert "nothing is left" in capsys.readouterr().out


def test_a_command_that_fails_is_not_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_tell", lambda shell, _: shell.run("false"))
    assert demo.main() == 1
    with pytest.raises(UnexpectedError):
        expect(False, "no")
