"""GET …/receipt and GET /receipts/keys."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from exporters import VERSION
from exporters.api.answers import Answer
from exporters.errors import ConfigError
from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from exporters.receipts.issue import TYPE
from exporters.storage import paths
from tests.world import World, refusals

ROOT = Path(__file__).parents[3]


@pytest.fixture
def world() -> World:
    world = World()
    world.people(5)
    return world


def receipt(world: World, answer: Answer) -> dict[str, Any]:
    found = world.call("GET", f"{world.address(answer)}/receipt")
    assert found.status == 200, found.body
    return dict(json.loads(found.body))


def keys(world: World) -> dict[str, Any]:
    return dict(json.loads(world.call("GET", "/receipts/keys").body))


def verified(world: World, signed: str) -> Any:
    """What the signature proves."""
    header = jwt.get_unverified_header(signed)
    assert header == {"alg": "EdDSA", "kid": header["kid"], "typ": TYPE}
    key = jwt.PyJWKSet.from_dict(keys(world))[header["kid"]]
    return json.loads(jwt.PyJWS().decode(signed, key, algorithms=["EdDSA"]))


def problem(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["type"].removeprefix("urn:segment-exporter:problem:")


def done(world: World) -> Answer:
    answer = world.start()
    world.pump()
    return answer


class Vault:
    """Secrets that can be closed."""

    def __init__(self, world: World) -> None:
        self._secrets = world.secrets
        self.is_open = False
        world.parts = replace(world.parts, secrets=self)
        world.exporter = Exporter(world.parts)

    def get(self, name, *, fresh=False):
        return self._secrets.get(name, fresh=fresh)

    def set(self, name, value):
        if not self.is_open:
            raise ConfigError(f"The vault refuses to store the secret {name}")
        self._secrets.set(name, value)


def test_a_receipt_tells_what_the_run_has_read_and_done_and_its_signature_proves_it(world):
    people = world.people(9)
    world.account.on_submit = lambda rows: refusals(rows[0]["email"]) if rows[0]["email"] == people[0] else None
    answer = done(world)
    run, shown = world.show(answer), receipt(world, answer)

    proved = verified(world, shown["signed"])

    assert proved == shown["receipt"]
    same = ("export", "name", "trigger", "status", "reason", "sums", "requests", "omitted_values")
    assert {name: proved[name] for name in same} == {name: run[name] for name in same}
    assert proved["inputs"] == run["segments"]
    (part,) = proved["inputs"][0]["parts"]
    (blob,) = world.segments.list("VIP")
    assert part == {"name": blob.name, "etag": blob.etag, "bytes": blob.size}
    assert proved["target"] == {
        "provider": "simulated",
        "connection": "main",
        "list_id": "list-1",
        "list_name": "List",
        "mapping_version": run["mapping_version"],
    }
    assert [batch["jobs"] for batch in proved["batches"]] == [["job-1"], ["job-2"], ["job-3"]]
    assert sum(batch["delivered"] for batch in proved["batches"]) == proved["sums"]["delivered"] == 8
    assert proved["people"]["started"] == "this machine"
    assert (proved["times"]["created"], proved["times"]["finished"]) == (run["created"], run["finished"])
    assert proved["app"] == f"segment-exporter {VERSION}"


def test_nobody_of_the_segment_is_in_a_receipt(world):
    world.segment("EMail,FirstName\nanna@example.com,Wilhelmina\nbroken,Kunigunde\n")
    world.account.on_submit = lambda rows: refusals("anna@example.com")

    body = world.call("GET", f"{world.address(done(world))}/receipt").body.decode()

    payload = jwt.PyJWS().decode(json.loads(body)["signed"], options={"verify_signature": False}).decode()
    for word in ("anna", "Wilhelmina", "broken", "Kunigunde"):
        assert word not in body
        assert word not in payload


def test_it_is_the_same_each_time_and_was_signed_at_the_end(world):
    answer = done(world)
    stored = world.state.get(paths.receipt("newsletter", world.run_id(answer)))
    assert stored is not None

    first = world.call("GET", f"{world.address(answer)}/receipt").body
    world.pass_time(days=30)
    second = world.call("GET", f"{world.address(answer)}/receipt").body

    assert first == second == stored.data


def test_a_document_that_was_changed_later_differs_from_its_receipt(world):
    answer = done(world)
    name = paths.run("newsletter", world.run_id(answer))
    world.state.put(name, world.state.get(name).data.replace(b'"delivered":5', b'"delivered":4'))

    assert verified(world, receipt(world, answer)["signed"])["sums"]["delivered"] == 5


def test_a_signature_does_not_fit_another_receipt(world):
    header, payload, signature = receipt(world, done(world))["signed"].split(".")
    other, _, _ = jwt.PyJWS().encode(b"{}", key=None, algorithm="none").split(".")

    for forged in (f"{header}.{payload[:-4]}AAAA.{signature}", f"{other}.{payload}.", f"{header}.{payload}."):
        with pytest.raises(jwt.InvalidTokenError):
            jwt.PyJWS().decode(forged, jwt.PyJWKSet.from_dict(keys(world)).keys[0], algorithms=["EdDSA"])


@pytest.mark.parametrize("end", ["rejected", "canceled", "failed", "reconciled"])
def test_every_run_that_has_ended_has_one(world, end):
    if end == "reconciled":
        done(world)
        answer = world.call("POST", "/exports/newsletter/reconciliations")
    elif end == "rejected":
        world.export(brakes={"max_profiles": 1})
        answer = world.start()
        world.pump()
        world.reject(answer)
    else:
        world.account.key = "another" if end == "failed" else "good"
        answer = world.start()
        if end == "canceled":
            world.cancel(answer)
    world.pump()

    shown = receipt(world, answer)["receipt"]

    assert shown["status"] == world.show(answer)["status"]
    assert (shown["drift"] is not None) == (end == "reconciled")
    assert (shown["people"]["rejected"], shown["people"]["canceled"]) == (
        "this machine" if end == "rejected" else "",
        "this machine" if end == "canceled" else "",
    )


def test_before_the_end_there_is_none(world):
    answer = world.start()

    found = world.call("GET", f"{world.address(answer)}/receipt")

    assert problem(found) == (409, "receipt-not-yet")
    assert found.headers["Retry-After"] == "5"
    assert world.show(answer)["receipt"] is None
    world.pump()
    assert world.show(answer)["receipt"] == f"/api{world.address(answer)}/receipt"


def test_of_no_run_there_is_none(world):
    found = world.call("GET", "/runs/newsletter/79738877939999999-00000000/receipt")

    assert problem(found) == (404, "no-such-run")


def test_a_vault_that_refuses_holds_up_no_run_and_the_receipt_comes_when_it_is_asked_for(world):
    vault = Vault(world)
    answer = done(world)
    refused = world.call("GET", f"{world.address(answer)}/receipt")
    vault.is_open = True

    assert world.show(answer)["status"] == "successful"
    assert problem(refused) == (503, "receipt-unsigned")
    assert "The vault refuses to store the secret" in json.loads(refused.body)["detail"]
    assert verified(world, receipt(world, answer)["signed"])["status"] == "successful"


def test_the_keys_are_told_to_whoever_asks(world):
    done(world)
    world.exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))

    answer = world.call("GET", "/receipts/keys")

    (key,) = json.loads(answer.body)["keys"]
    assert answer.status == 200
    assert key.keys() == {"kty", "crv", "use", "alg", "kid", "x"}
    assert jwt.PyJWK(key).key is not None


def test_the_version_that_receipts_name_is_the_one_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["version"] == VERSION


def test_what_the_manual_says_verifies_a_receipt(world, tmp_path, monkeypatch):
    answer = done(world)
    (tmp_path / "receipt.json").write_bytes(world.call("GET", f"{world.address(answer)}/receipt").body)
    (tmp_path / "keys.json").write_bytes(world.call("GET", "/receipts/keys").body)
    text = (ROOT / "docs/receipts.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}

    exec(snippet, found)  # noqa: S102 (our own document)

    assert found["receipt"] == receipt(world, answer)["receipt"]
    shown = json.loads((tmp_path / "receipt.json").read_text(encoding="utf-8"))
    shown["signed"] = shown["signed"][:-8] + "AAAAAAAA"
    (tmp_path / "receipt.json").write_text(json.dumps(shown), encoding="utf-8")
    with pytest.raises(jwt.InvalidSignatureError):
        exec(snippet, {})  # noqa: S102
