from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.local.host.options import HostOptions, OptionError, lease_s

APP = Path(__file__).parents[3]


def read(tmp_path: Path, text: str) -> HostOptions:
    path = tmp_path / "host.json"
    path.write_text(text)
    return HostOptions.read(path)


def test_durations_are_read_as_hours_minutes_seconds(tmp_path):
    options = read(tmp_path, '{"version": "2.0", "extensions": {"queues": {"visibilityTimeout": "00:00:30"}}}')
    assert options.extensions.queues.visibility_timeout == timedelta(seconds=30)


def test_what_host_json_leaves_out_is_as_in_the_real_host(tmp_path):
    options = read(tmp_path, '{"version": "2.0"}')
    assert options.function_timeout == timedelta(minutes=30)
    assert options.extensions.http.route_prefix == "api"
    assert options.extensions.queues.batch_size == 16
    assert options.extensions.queues.max_dequeue_count == 5
    assert options.extensions.queues.visibility_timeout == timedelta(0)


@pytest.mark.parametrize("queues", ['{"batchSize": 33}', '{"maxDequeueCount": 0}', '{"visibilityTimeout": "soon"}'])
def test_a_value_that_the_real_host_refuses_is_refused(tmp_path, queues):
    with pytest.raises(ValidationError):
        read(tmp_path, f'{{"version": "2.0", "extensions": {{"queues": {queues}}}}}')


def test_an_app_setting_replaces_a_value_of_host_json(tmp_path):
    path = tmp_path / "host.json"
    path.write_text('{"version": "2.0", "extensions": {"queues": {"batchSize": 4}}}')
    options = HostOptions.read(
        path,
        {
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
            "AzureFunctionsJobHost__extensions__http__routePrefix": "v2",
            "AzureFunctionsJobHost__functionTimeout": "00:00:12",
            "extensions__queues__batchSize": "16",
        },
    )
    assert options.extensions.queues.visibility_timeout == timedelta(seconds=1)
    assert options.extensions.http.route_prefix == "v2"
    assert options.function_timeout == timedelta(seconds=12)
    assert options.extensions.queues.batch_size == 4


def test_a_message_is_hidden_for_ten_minutes_or_as_long_as_a_test_wants():
    assert [lease_s(settings) for settings in ({}, {"LOCAL_LEASE_SECONDS": ""}, {"LOCAL_LEASE_SECONDS": "10"})] == [
        600,
        600,
        10,
    ]


@pytest.mark.parametrize("text", ["1", "-5", "10.5", "soon", "604801"])
def test_a_lease_that_no_queue_takes_is_refused_by_name(text):
    with pytest.raises(OptionError, match=r"LOCAL_LEASE_SECONDS is .*give whole seconds"):
        lease_s({"LOCAL_LEASE_SECONDS": text})


def test_the_app_lets_run_at_most_as_many_messages_of_a_queue_as_it_has_threads():
    queues = HostOptions.read(APP / "host.json").extensions.queues
    assert queues.batch_size + queues.new_batch_threshold == 8
