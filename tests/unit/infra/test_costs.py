"""The costs: reckoned by hand once more, and against the template that they are about."""

from pathlib import Path
from typing import Any

import pytest

from infra import costs
from infra.check.bicep import read
from infra.costs import Size

INFRA = Path(__file__).parents[3] / "infra"


def test_the_page_has_what_is_reckoned():
    page = costs.DOCS.read_text(encoding="utf-8")
    assert costs.filled(page) == page


def test_the_timer_alone_stays_within_what_is_free():
    """43,800 minutes, a second each, on 2 GB: 87,600 of 100,000 GB seconds."""
    idle = costs.amounts(Size.DEV, 0)

    assert (idle["run"], idle["call"]) == (87_600, 43_800)
    assert costs.cost("run", idle["run"]) == 0


def test_a_hundred_runs_a_day_by_hand():
    """3,041 2/3 runs of 110 s on 2 GB, and the timer, less what is free, at 0.000026."""
    busy = costs.amounts(Size.DEV, 100)

    assert busy["run"] == pytest.approx(87_600 + 100 * 365 / 12 * 110 * 2)
    assert costs.cost("run", busy["run"]) == pytest.approx((756_766.67 - 100_000) * 0.000026, abs=0.01)


def test_an_hour_of_what_waits_by_hand():
    prod = costs.amounts(Size.PROD, 0)

    assert costs.cost("ready", prod["ready"]) == pytest.approx(2 * 2 * 2_628_000 * 0.000004)
    assert costs.cost("nat", prod["nat"]) == pytest.approx(32.85)


@pytest.mark.parametrize("size", list(Size))
def test_the_parts_are_the_whole(size):
    case = costs.amounts(size, 100)
    parts = [meter for meters in costs.PARTS.values() for meter in meters]

    assert len(parts) == len(set(parts))
    assert set(case) <= set(parts) == set(costs.PRICES)


def variable(file: str, name: str) -> list[Any]:
    """Of a file of the template, a variable that is a list."""
    value = read(INFRA / file).variables[name].value
    assert isinstance(value, list)
    return value


def test_alert_rules_are_those_of_the_template():
    assert len(variable("modules/alerts.bicep", "rules")) == costs.RULES


def test_endpoints_are_those_of_storage_and_the_vault():
    assert len(variable("main.bicep", "closedServices")) + 1 == costs.ENDPOINTS


def test_what_waits_and_its_memory_are_those_of_the_template():
    assert len(variable("modules/function-app.bicep", "alwaysReadyGroups")) == costs.READY_GROUPS
    assert read(INFRA / "main.bicep").params["instanceMemoryMB"].default == costs.MEMORY_GB * 1024


@pytest.mark.parametrize(("size", "every"), [(Size.DEV, 15), (Size.PROD, 5)])
def test_sizes_are_those_of_the_parameters_files(size, every):
    template = {name: param.default for name, param in read(INFRA / "main.bicep").params.items()}
    given = template | {name: each.value for name, each in read(INFRA / f"{size}.bicepparam").given.items()}
    case = costs.amounts(size, 1)

    assert given["alertEvery"] == f"PT{every}M"
    assert f"rule {every}" in case
    assert given["closedNetwork"] == (case["nat"] > 0)
    assert given["alwaysReady"] == (1 if case["ready"] else 0)
    assert str(given["storageSku"]).removeprefix("Standard_") in case
