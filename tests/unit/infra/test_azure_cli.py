"""Whether `az` works where azd does; `az` is a script here."""

from pathlib import Path

import pytest

from infra import azure_cli

THIS = "0a1b2c3d-0000-0000-0000-000000000001"
OTHER = "0a1b2c3d-0000-0000-0000-000000000002"


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "az"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return program


def says(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("named", [THIS, THIS.upper()])
def test_the_subscription_that_is_meant_passes(az, named):
    says(az, f"""echo '"{THIS}"'""")
    assert azure_cli.main([named]) == 0


@pytest.mark.parametrize(
    ("named", "script", "words"),
    [
        (OTHER, f"""echo '"{THIS}"'""", f"az works in the subscription {THIS}, not in {OTHER}"),
        ("", f"""echo '"{THIS}"'""", "azd env set AZURE_SUBSCRIPTION_ID"),
        (THIS, "echo 'ERROR: run az login' >&2; exit 1", "ERROR: run az login"),
    ],
    ids=["another", "none", "nobody has signed in"],
)
def test_anything_else_stops_the_script_with_words(az, capsys, named, script, words):
    says(az, script)

    assert azure_cli.main([named]) == 1
    assert words in capsys.readouterr().err
