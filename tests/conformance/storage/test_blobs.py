"""One suite for every blob store: the in-memory twin and Azure's SDK against Azurite."""

from pathlib import Path

import pytest

from exporters.errors import StorageConflictError
from exporters.storage.blobs import AzureBlobStore, BlobStore
from exporters.storage.memory import MemoryBlobStore


@pytest.fixture(params=["memory", "azure"])
def store(request) -> BlobStore:
    if request.param == "memory":
        return MemoryBlobStore()
    return AzureBlobStore(request.getfixturevalue("azurite").container())


def test_a_blob_that_is_not_there_reads_as_none(store):
    assert store.get("a/b") is None


def test_content_comes_back_with_the_etag_of_its_write(store):
    etag = store.create("a/b", b"one")

    blob = store.get("a/b")

    assert (blob.data, blob.etag) == (b"one", etag)


def test_creating_a_blob_twice_is_a_conflict_and_keeps_the_first(store):
    store.create("a", b"one")

    with pytest.raises(StorageConflictError):
        store.create("a", b"two")

    assert store.get("a").data == b"one"


def test_replacing_wants_the_current_etag(store):
    old = store.create("a", b"one")
    new = store.replace("a", b"two", etag=old)

    with pytest.raises(StorageConflictError):
        store.replace("a", b"three", etag=old)

    assert (store.get("a").data, store.get("a").etag) == (b"two", new)


def test_replacing_a_blob_that_is_gone_is_a_conflict(store):
    etag = store.create("a", b"one")
    store.delete("a")

    with pytest.raises(StorageConflictError):
        store.replace("a", b"two", etag=etag)


def test_putting_asks_for_nothing_and_changes_the_etag(store):
    assert store.put("a", b"one") != store.put("a", b"two")
    assert store.get("a").data == b"two"


def test_a_listing_is_sorted_and_has_size_etag_and_metadata(store):
    store.create("run/2.json", b"22", metadata={"delivered": "7"})
    etag = store.create("run/1.json", b"1")
    store.create("runner.json", b"")

    first, second = store.list("run/")

    assert (first.name, first.size, first.etag.strip('"')) == ("run/1.json", 1, etag.strip('"'))
    assert dict(second.metadata) == {"delivered": "7"}
    assert second.modified.tzinfo is not None


def test_the_etag_of_a_listing_can_be_used_for_a_download(store, tmp_path):
    store.create("a", b"one")
    (info,) = store.list("a")

    store.download("a", tmp_path / "a", etag=info.etag)

    assert (tmp_path / "a").read_bytes() == b"one"


def test_folders_are_those_right_below(store):
    for name in ["x/2026/11/a.csv", "x/2026/12/b.csv", "x/2025/b.csv", "x/file.csv", "xy/z.csv"]:
        store.create(name, b"")

    assert sorted(store.folders("x/")) == ["x/2025/", "x/2026/"]
    assert sorted(store.folders("")) == ["x/", "xy/"]


def test_deleting_what_is_not_there_is_no_error(store):
    store.create("a", b"")
    store.delete("a")
    store.delete("a")

    assert list(store.list("")) == []


def test_a_download_of_a_changed_or_missing_blob_is_a_conflict(store, tmp_path):
    etag = store.create("a", b"one")
    store.put("a", b"two")

    for name, tag in [("a", etag), ("missing", None)]:
        with pytest.raises(StorageConflictError):
            store.download(name, tmp_path / "file", etag=tag)


def test_a_file_travels_up_and_down_unchanged(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 80_000)

    store.upload("big", source)
    store.upload("big", source)
    store.download("big", tmp_path / "target")

    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_names_may_hold_blanks_and_any_letters(store, tmp_path: Path):
    name = "Žena + muž/100 %/čaj #1?.csv"
    store.create(name, b"x")

    assert [info.name for info in store.list("Žena")] == [name]
    assert store.get(name).data == b"x"
    assert list(store.folders("Žena + muž/")) == ["Žena + muž/100 %/"]
