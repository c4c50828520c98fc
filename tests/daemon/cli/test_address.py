"""`--config` or `--endpoint`, of which a command takes exactly one."""

from __future__ import annotations

import pytest

from stripwatch.cli.main import main
from stripwatch.errors import ExitCode

COMMANDS = (["replay", "synthetic"], ["record", "a.mcap"], ["events"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("both", [False, True])
def test_exactly_one_address_is_taken(
    command: list[str], both: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    address = ["--config", "c.toml", "--endpoint", "tcp://127.0.0.1:5550"] if both else []
    with pytest.raises(SystemExit) as caught:
        main([*command, *address])
    assert caught.value.code == ExitCode.USAGE
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--config" in error
    assert "--endpoint" in error


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("endpoint", ["127.0.0.1:5550", "tcp://host", "tcp://host:99999", "ipc://"])
def test_an_endpoint_obeys_the_rule_of_the_configuration(
    command: list[str], endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error shows the form that is expected."""
    with pytest.raises(SystemExit) as caught:
        main([*command, "--endpoint", endpoint])
    assert caught.value.code == ExitCode.USAGE
    assert "expected tcp://HOST:PORT" in capsys.readouterr().err
