"""The parameters of azd give each size what the parameters file of that size gives."""

import json
from pathlib import Path

import pytest

from infra.check.bicep import Expression, Kind, Value, read

INFRA = Path(__file__).parents[3] / "infra"
SIZES = ("dev", "prod")


def given(expression: Value, size: str) -> Value:
    """What an expression of main.bicepparam is worth where azd has no variable but the size."""
    if not isinstance(expression, Expression):
        return expression
    parts = expression.parts
    if expression.kind is Kind.NAME and expression.text == "prod":
        return size == "prod"
    if expression.kind is Kind.CHOICE:
        return given(parts[1] if given(parts[0], size) else parts[2], size)
    match expression.function:
        case "readEnvironmentVariable":
            return given(parts[1], size)
        case "bool":
            return given(parts[0], size) == "true"
        case "int":
            return int(str(given(parts[0], size)))
        case "json":
            return json.loads(str(given(parts[0], size)))
        case "empty":
            return True
    raise AssertionError(f"no rule for {expression}")


@pytest.mark.parametrize("size", SIZES)
def test_a_size_of_azd_is_that_of_its_parameters_file(size):
    template = read(INFRA / "main.bicep").params
    of_azd = {name: given(each.value, size) for name, each in read(INFRA / "main.bicepparam").given.items()}
    of_size = {name: each.value for name, each in read(INFRA / f"{size}.bicepparam").given.items()}

    defaults = {name: param.default for name, param in template.items() if name in of_azd or name in of_size}
    assert {**defaults, **of_azd} == {**defaults, **of_size}
