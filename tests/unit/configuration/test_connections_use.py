"""Connections through crashes, races and changed keys: no document names a key that is not there, and runs go on."""

import json
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from pydantic import SecretStr

from exporters.api.answers import Answer
from exporters.configuration import connections, overview
from exporters.configuration.connections import ConnectionExistsError, OtherAccountError
from exporters.configuration.ids import free_id
from exporters.delivery.access import with_account
from exporters.delivery.account import KnownAccount, known_lane
from exporters.errors import AccessError, ConfigError, StorageConflictError, ThrottledError, TransientError
from exporters.model.caller import LOCAL
from exporters.model.connection import Connection, NewConnection, NewKey
from exporters.model.consent import CONSENT_VERSION, AcceptedConsent
from exporters.model.export import Export
from exporters.model.lane import Lane
from exporters.storage import paths
from exporters.storage.memory import MemorySecrets
from exporters.storage.secrets import NoSuchSecretError
from tests.mortal import Died, Mortal
from tests.world import SimulatedProvider, World

CONSENT = AcceptedConsent(accepted=True, version=CONSENT_VERSION)


def new(**changes: Any) -> NewConnection:
    values = {"provider": "simulated", "display_name": "Second", "key": SecretStr("good"), "consent": CONSENT}
    return NewConnection(**values | changes)


def document(world: World, connection: str = "main") -> Connection:
    found = world.parts.documents.read(Connection, paths.connection(connection))
    assert found is not None
    return found.value


def sent(world: World, method: str, path: str, body: object) -> Answer:
    return world.call(method, path, body=json.dumps(body).encode())


def trail(world: World) -> list[tuple[str, str]]:
    blobs = (world.state.get(info.name) for info in world.state.list(paths.AUDIT))
    lines = [json.loads(line) for blob in blobs if blob is not None for line in blob.data.splitlines()]
    return [(line["action"], line["result"]) for line in lines if line["action"].startswith("connection")]


class TestCreating:
    def test_the_key_is_proved_before_anything_is_saved(self) -> None:
        world = World()
        asked: list[tuple[set[str], bool]] = []
        there = paths.connection("second")
        world.account.on_question = lambda: asked.append((set(world.secrets.values), bool(world.state.get(there))))
        connections.create(world.parts, LOCAL, new())
        assert asked == [({"main-key"}, False)]

    def test_the_key_lies_in_the_vault_before_a_document_names_it(self) -> None:
        world = World()

        class Full(MemorySecrets):
            def set(self, name: str, value: SecretStr) -> None:
                raise TransientError("The vault could not be reached")

        with pytest.raises(TransientError):
            connections.create(replace(world.parts, secrets=Full({})), LOCAL, new())
        assert world.state.get(paths.connection("second")) is None

    def test_its_account_is_known_from_then_on(self) -> None:
        world = World()
        world.account.id = "42"
        first, second = connections.create(world.parts, LOCAL, new()), connections.create(world.parts, LOCAL, new())
        assert (first.value.id, second.value.id) == ("second", "second-2")
        assert known_lane(world.parts, first.value) == known_lane(world.parts, second.value) != "second"

    def test_where_the_account_is_not_told_it_is_one_of_its_own(self) -> None:
        world = World()
        made = connections.create(world.parts, LOCAL, new())
        assert known_lane(world.parts, made.value) == "second"

    def test_a_limit_on_questions_for_accounts_does_not_keep_the_key_from_being_proved(self) -> None:
        world = World()

        class Sparing(SimulatedProvider):
            def account(self) -> str | None:
                raise ThrottledError("The provider wants a pause", wait_s=3600, polls_only=True)

        world.provider = Sparing
        made = connections.create(world.parts, LOCAL, new())
        assert made.value.connected is not None
        lane = world.parts.documents.read(Lane, paths.lane("second"))
        assert lane is not None
        assert (lane.value.not_before, lane.value.polls_not_before is None) == (None, False)

    def test_a_provider_is_stored_by_its_own_name(self) -> None:
        world = World()
        parts = replace(world.parts, facts=lambda _: SimulatedProvider)
        assert connections.create(parts, LOCAL, new(provider="Old Name")).value.provider == "simulated"

    def test_of_two_who_want_the_same_id_one_gets_it_and_the_other_leaves_no_secret(self) -> None:
        world = World()
        world.account.on_question = lambda: world.connection(id="second")
        with pytest.raises(ConnectionExistsError):
            connections.create(world.parts, LOCAL, new(id="second"))
        assert world.secrets.values == {"main-key": "good"}
        assert document(world, "second").secret == "main-key"

    def test_the_attempt_is_in_the_trail_whatever_comes_of_it(self) -> None:
        world = World()
        connections.create(world.parts, LOCAL, new())
        with pytest.raises(ConfigError):
            connections.create(world.parts, LOCAL, new(key=SecretStr("wrong")))
        assert trail(world) == [
            ("connection created", "wanted"),
            ("connection created", "done"),
            ("connection created", "wanted"),
            ("connection created", "not done"),
        ]


class TestUsedBy:
    def test_taking_a_connection_from_contributors_breaks_no_export(self) -> None:
        world = World()
        world.connection(used_by="contributors")
        world.people(3)
        assert world.export_now()["status"] == "successful"
        found = connections.read(world.parts, "main")
        settings = {name: getattr(found.value, name) for name in ("provider", "display_name")}
        body = {**settings, "used_by": "administrators"}
        answer = world.call(
            "PUT", "/connections/main", headers={"if-match": found.etag}, body=json.dumps(body).encode()
        )
        assert answer.status == 200
        world.people(5)
        assert world.export_now()["status"] == "successful"
        assert len(world.account.on_list) == 5


class TestRotating:
    def test_a_run_at_work_goes_on_with_the_new_key(self) -> None:
        world = World()
        made = connections.create(world.parts, LOCAL, new())
        world.export(connection="second")
        emails = world.people(12)
        answer = world.start()
        for _ in range(4):
            world.deliver(*self.next_message(world))
        world.account.key = "newer"
        connections.rotate(world.parts, LOCAL, "second", NewKey(key=SecretStr("newer")))
        assert made.value.secret not in world.secrets.values
        world.pump()
        assert world.show(answer)["status"] == "successful"
        assert world.account.on_list == set(emails)

    @staticmethod
    def next_message(world: World) -> tuple[str, str]:
        when = world.queues.next_due()
        assert when is not None
        world.time = max(world.time, when)
        message = world.queues.due()
        assert message is not None
        return message

    def test_a_key_never_travels_to_another_provider(self) -> None:
        world = World()
        of_the_run = document(world)
        world.secrets.values["brevo-key"] = "xkeysib-1"
        world.connection(provider="brevo", secret="brevo-key")
        world.account.key = "revoked"
        keys: list[str] = []

        def connect(_: Connection, key: SecretStr) -> SimulatedProvider:
            keys.append(key.get_secret_value())
            return SimulatedProvider(world.account, key)

        with pytest.raises(AccessError):
            with_account(
                replace(world.parts, connect=connect), of_the_run, "main", lambda provider: provider.lists(None)
            )
        assert keys == ["good"]

    def test_a_key_is_never_used_for_people_of_a_connection_that_had_its_id_before(self) -> None:
        world = World()
        of_the_run = connections.create(world.parts, LOCAL, new(id="second")).value
        connections.remove(world.parts, LOCAL, "second", {})
        world.account.key = "of another account"
        world.pass_time(seconds=1)
        connections.create(world.parts, LOCAL, new(id="second", key=SecretStr("of another account")))
        with pytest.raises(NoSuchSecretError):
            with_account(world.parts, of_the_run, "second", lambda provider: provider.lists(None))

    def test_the_old_secret_goes_only_if_this_app_has_made_it(self) -> None:
        world = World()
        connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("good")))
        first = document(world).secret
        connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("good")))
        assert set(world.secrets.values) == {"main-key", document(world).secret}
        assert first != document(world).secret

    def test_a_secret_that_another_connection_names_stays(self) -> None:
        world = World()
        made = connections.create(world.parts, LOCAL, new()).value
        world.connection(id="third", secret=made.secret)
        connections.rotate(world.parts, LOCAL, "second", NewKey(secret="main-key"))
        assert made.secret in world.secrets.values
        connections.remove(world.parts, LOCAL, "third", {})
        assert made.secret not in world.secrets.values

    def test_a_secret_that_cannot_be_deleted_does_not_undo_the_rotation(self) -> None:
        world = World()

        class Undeletable(MemorySecrets):
            def delete(self, name: str) -> None:
                raise ConfigError(f"The vault refuses to delete the secret {name} (403)")

        parts = replace(world.parts, secrets=Undeletable({"main-key": "good"}))
        after = connections.rotate(parts, LOCAL, "main", NewKey(key=SecretStr("good")))
        assert after.value.secret == document(world).secret != "main-key"

    def test_a_key_that_is_refused_changes_nothing(self) -> None:
        world = World()
        before = document(world)
        with pytest.raises(ConfigError):
            connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("wrong")))
        assert document(world) == before
        assert world.secrets.values == {"main-key": "good"}

    def test_the_account_counts_as_it_was_learnt_with_the_old_key_even_if_that_is_dead(self) -> None:
        world = World()
        world.account.id = "first"
        connections.connect(world.parts, LOCAL, "main")
        world.account.key, world.account.id = "newer", "second"
        with pytest.raises(OtherAccountError):
            connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("newer")))
        world.account.id = "first"
        connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("newer")))
        known = world.parts.documents.read(KnownAccount, paths.known_account("main"))
        assert known is not None
        assert known.value.secret == document(world).secret

    def test_a_value_in_the_vault_that_leads_to_another_account_is_not_taken_for_the_same(self) -> None:
        world = World()
        world.account.id = "first"
        connections.connect(world.parts, LOCAL, "main")
        before = document(world)
        world.account.id = "second"
        world.pass_time(days=2)
        for _ in range(2):
            with pytest.raises(OtherAccountError):
                connections.connect(world.parts, LOCAL, "main")
        with pytest.raises(OtherAccountError):
            connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("good")))
        assert document(world) == before

    @pytest.mark.parametrize("told_before", [True, False])
    def test_an_account_that_is_not_told_is_no_other_one(self, told_before: bool) -> None:
        world = World()
        world.account.id = "first" if told_before else None
        connections.connect(world.parts, LOCAL, "main")
        world.account.id = None if told_before else "first"
        connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("good")))

    def test_of_two_at_once_the_later_one_wins_and_no_secret_is_lost(self) -> None:
        world = World()
        meanwhile = [lambda: connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("good")))]

        def rotate_too() -> None:
            if meanwhile:
                meanwhile.pop()()

        world.account.on_question = rotate_too
        connections.rotate(world.parts, LOCAL, "main", NewKey(key=SecretStr("good")))
        assert set(world.secrets.values) == {"main-key", document(world).secret}

    def test_a_key_that_is_rotated_while_the_old_one_is_proved_gets_no_stamp(self) -> None:
        world = World()
        world.account.on_question = lambda: world.connection(secret="another")
        with pytest.raises(StorageConflictError):
            connections.connect(world.parts, LOCAL, "main")
        assert document(world).connected is None


class TestRemoving:
    def test_the_key_goes_with_its_connection(self) -> None:
        world = World()
        connections.create(world.parts, LOCAL, new())
        world.account.id = "42"
        connections.connect(world.parts, LOCAL, "second")
        connections.remove(world.parts, LOCAL, "second", {})
        assert world.secrets.values == {"main-key": "good"}
        assert world.state.get(paths.known_account("second")) is None

    def test_a_detached_export_runs_again_when_it_is_attached(self) -> None:
        world = World()
        world.people(3)
        world.export_now()
        connections.remove(world.parts, LOCAL, "main", {"newsletter": connections.Decision.DETACH})
        assert world.start().status == 422
        connections.create(world.parts, LOCAL, new())
        world.export(connection="second")
        assert world.export_now()["status"] == "successful"

    def test_one_that_is_made_anew_knows_nobody_of_the_list_before(self) -> None:
        world = World()
        world.people(3)
        world.export_now()
        connections.remove(world.parts, LOCAL, "main", {"newsletter": connections.Decision.DETACH})
        world.account.on_list.clear()  # the new one leads to another account, with a list of the same id
        connections.create(world.parts, LOCAL, new(id="main"))
        world.export(connection="main")
        assert world.export_now()["sums"]["delivered"] == 3
        assert len(world.account.on_list) == 3

    def test_an_export_that_is_attached_while_others_are_decided_keeps_the_connection(self) -> None:
        world = World()
        world.people(1)
        parts = world.parts
        before_delete = world.state.delete

        def attach_another(name: str) -> None:
            world.export(id="late", name="Late")
            before_delete(name)

        world.state.delete = attach_another  # type: ignore[method-assign]  # the moment that no lock guards
        with pytest.raises(connections.ConnectionInUseError):
            connections.remove(parts, LOCAL, "main", {"newsletter": connections.Decision.REMOVE})
        assert document(world).id == "main"

    @pytest.mark.parametrize("held", [True, False])
    @pytest.mark.parametrize("changes", [{"connection": None}, {"connection": "other"}, {"mapping": 1}])
    def test_a_run_keeps_its_connection_whatever_its_export_is_by_then(
        self, changes: dict[str, object], *, held: bool
    ) -> None:
        world = World()
        world.people(3)
        world.connection(id="other")
        world.export(brakes={"max_profiles": 1} if held else {})
        answer = world.start()
        if held:
            world.pump()
        world.export(**changes)
        decisions = {"newsletter": connections.Decision.DETACH}
        with pytest.raises(connections.ConnectionBusyError) as raised:
            connections.remove(world.parts, LOCAL, "main", decisions)
        assert (raised.value.export, raised.value.run) == ("newsletter", world.run_id(answer))
        connections.remove(world.parts, LOCAL, "other", decisions if "other" in changes.values() else {})
        if held:
            world.approve(answer)
        world.pump()
        assert len(world.account.on_list) == 3
        connections.remove(world.parts, LOCAL, "main", {})

    def test_a_run_that_is_started_while_its_export_is_detached_keeps_the_connection(self) -> None:
        world = World()
        world.people(3)
        before_replace = world.state.replace

        def start_first(name: str, data: bytes, *, etag: str) -> str:
            if name == paths.export("newsletter"):
                world.start()
            return before_replace(name, data, etag=etag)

        world.state.replace = start_first  # type: ignore[method-assign]  # the moment that no lock guards
        decisions = {"newsletter": connections.Decision.DETACH}
        with pytest.raises(connections.ConnectionBusyError):
            connections.remove(world.parts, LOCAL, "main", decisions)
        world.pump()
        assert len(world.account.on_list) == 3
        connections.remove(world.parts, LOCAL, "main", {})

    def test_all_exports_are_decided_with_one_write_of_the_overview(self) -> None:
        world = World()
        for name in ("a", "b", "c"):
            world.export(id=name)
        rows = overview.look(world.parts).rows
        written: list[str] = []
        before_replace = world.state.replace

        def count(name: str, data: bytes, *, etag: str) -> str:
            written.append(name)
            return before_replace(name, data, etag=etag)

        world.state.replace = count  # type: ignore[method-assign]
        connections.remove(world.parts, LOCAL, "main", dict.fromkeys(rows, connections.Decision.DETACH))
        assert written.count(overview.PATH) == 1
        assert {row.connection for row in overview.look(world.parts).rows.values()} == {None}


class Vault(MemorySecrets):
    """One that does not tell upper from lower case, as Key Vault does not, and that may be away."""

    def __init__(self) -> None:
        super().__init__({"main-key": "good"})
        self.is_away = False

    def get(self, name: str, *, fresh: bool = False) -> SecretStr:
        return super().get(name.lower(), fresh=fresh)

    def delete(self, name: str) -> None:
        if self.is_away:
            raise TransientError("The vault could not be reached")
        super().delete(name.lower())


class TestOldKeys:
    @pytest.fixture
    def vault(self) -> Vault:
        return Vault()

    @pytest.fixture
    def world(self, vault: Vault) -> World:
        world = World()
        world.parts = replace(world.parts, secrets=vault)
        world.exporter = type(world.exporter)(world.parts)
        return world

    @pytest.mark.parametrize("act", ["remove", "rotate"])
    def test_a_key_that_cannot_be_deleted_now_is_deleted_later(self, world: World, vault: Vault, act: str) -> None:
        old = connections.create(world.parts, LOCAL, new()).value.secret
        vault.is_away = True
        if act == "remove":
            connections.remove(world.parts, LOCAL, "second", {})
        else:
            connections.rotate(world.parts, LOCAL, "second", NewKey(secret="main-key"))
        entry = json.loads(world.call("GET", "/audit").body)["items"][0]
        assert (entry["result"], old in json.dumps(entry)) == ("done", True)
        for _ in range(2):
            world.pass_time(hours=1)
            world.exporter.tick()
            assert old in vault.values
        vault.is_away = False
        world.exporter.tick()
        assert old in vault.values
        world.pass_time(hours=1)
        world.exporter.tick()
        assert vault.values == {"main-key": "good"}
        assert list(world.state.list(paths.OLD_KEYS)) == []

    def test_a_key_that_is_named_again_stays(self, world: World, vault: Vault) -> None:
        old = connections.create(world.parts, LOCAL, new()).value.secret
        vault.is_away = True
        connections.remove(world.parts, LOCAL, "second", {})
        world.connection(id="third", secret=old)
        vault.is_away = False
        world.pass_time(hours=1)
        world.exporter.tick()
        assert old in vault.values
        assert list(world.state.list(paths.OLD_KEYS)) == []

    def test_names_of_secrets_are_the_same_in_whatever_case(self, world: World, vault: Vault) -> None:
        made = connections.create(world.parts, LOCAL, new()).value
        world.connection(id="third", secret=made.secret.upper())
        connections.remove(world.parts, LOCAL, "second", {})
        assert world.call("POST", "/connections/third/connect").status == 200
        connections.rotate(world.parts, LOCAL, "third", NewKey(secret=made.secret))
        assert world.call("POST", "/connections/third/connect").status == 200
        assert made.secret in vault.values

    @pytest.mark.parametrize("away", [paths.CONNECTIONS, paths.known_account("second"), paths.OLD_KEYS])
    def test_a_rotation_that_is_done_is_not_said_to_be_undone(self, world: World, vault: Vault, away: str) -> None:
        old = connections.create(world.parts, LOCAL, new()).value.secret
        world.account.id = "42"
        is_done: list[bool] = []

        class Failing:
            """Storage that is away for some blobs once the document has the new key."""

            def __getattr__(self, name: str) -> Any:
                def call(*args: Any, **options: Any) -> Any:
                    if is_done and str(args[0]).startswith(away) and name in {"list", "create", "put", "replace"}:
                        raise ServiceResponseError("away")
                    answer = getattr(world.state, name)(*args, **options)
                    if name == "replace" and args[0] == paths.connection("second"):
                        is_done.append(True)
                    return answer

                return call

        state: Any = Failing()
        parts = replace(world.parts, state=state)
        connections.rotate(parts, LOCAL, "second", NewKey(secret="main-key"))
        assert document(world, "second").secret == "main-key"
        assert trail(world)[-1] == ("connection key rotated", "done")
        world.pass_time(hours=1)
        world.exporter.tick()
        assert old not in vault.values


@pytest.mark.parametrize("act", ["rotate", "remove"])
def test_whoever_dies_in_between_leaves_no_key_that_nobody_deletes(act: str) -> None:
    def made() -> tuple[World, str]:
        world = World()
        return world, connections.create(world.parts, LOCAL, new()).value.secret

    def do(world: World) -> Answer:
        if act == "rotate":
            return sent(world, "PUT", "/connections/second/key", {"secret": "main-key"})
        return sent(world, "POST", "/connections/second/remove", {})

    world, _ = made()
    mortal = Mortal(world, counts=lambda *_: True, dies_at=None)
    assert do(world).status < 300
    for moment in range(mortal.moments):
        world, secret = made()
        Mortal(world, counts=lambda *_: True, dies_at=moment)
        with pytest.raises(Died):
            do(world)
        world.exporter = type(world.exporter)(world.parts)
        world.pass_time(hours=1)
        world.exporter.tick()
        left = connections.ids(world.parts)
        is_needed = "second" in left and document(world, "second").secret == secret
        assert (secret in world.secrets.values) is is_needed, moment


def deaths(act: Any) -> int:
    """How many moments there are at which an action can die."""
    world = World()
    mortal = Mortal(world, counts=lambda *_: True, dies_at=None)
    assert act(world).status < 300
    return mortal.moments


def create(world: World) -> Answer:
    body = {"provider": "simulated", "display_name": "Second", "id": "second", "key": "good"}
    return sent(world, "POST", "/connections", {**body, "consent": CONSENT.model_dump()})


def rotate(world: World) -> Answer:
    return sent(world, "PUT", "/connections/main/key", {"key": "good"})


def remove(world: World) -> Answer:
    return sent(world, "POST", "/connections/main/remove", {"exports": {"newsletter": "detach"}})


@pytest.mark.parametrize("act", [create, rotate, remove])
def test_whoever_dies_in_between_leaves_nothing_that_cannot_be_used_or_done_again(act: Any) -> None:
    moments = deaths(act)
    assert moments >= 6
    for moment in range(moments):
        world = World()
        world.account.id = "42"
        Mortal(world, counts=lambda *_: True, dies_at=moment)
        with pytest.raises(Died):
            act(world)
        world.exporter = type(world.exporter)(world.parts)
        for name in connections.ids(world.parts):
            assert document(world, name).secret in world.secrets.values
        again = act(world)
        assert again.status < 300 or again.status in {404, 409}, (moment, again.body)
        if act is not remove:
            check = "/connections/second/connect" if act is create else "/connections/main/connect"
            assert world.call("POST", check).status == 200
            continue
        assert world.call("GET", "/connections/main").status == 404
        found = world.parts.documents.read(Export, paths.export("newsletter"))
        assert found is not None
        assert found.value.connection is None


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("Kunden Süd (2)", [], "kunden-sud-2"),
        ("Kunden Süd (2)", ["kunden-sud-2"], "kunden-sud-2-2"),
        ("Main", ["main", "main-2", "main-4"], "main-3"),
        ("Žarko & Łucja", [], "zarko-ucja"),
        ("客户", [], "unnamed"),
        ("--", ["unnamed"], "unnamed-2"),
        ("a" * 49 + " b", [], "a" * 49),
        ("x" * 200, ["x" * 50], "x" * 50 + "-2"),
    ],
)
def test_an_id_reads_like_the_name_and_is_nobodys(name: str, taken: list[str], expected: str) -> None:
    assert free_id(name, taken) == expected
