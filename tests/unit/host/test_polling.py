import random
import threading

import pytest

from infra.local.host.polling import Backoff, Bell


def test_pauses_grow_from_a_tenth_of_a_second_to_the_maximum():
    backoff = Backoff(1.0, random.Random(1))
    pauses = [backoff.next_pause_s() for _ in range(8)]
    assert pauses[:5] == pytest.approx([0.1, 0.2, 0.3, 0.5, 0.9], rel=0.2)
    assert pauses[5:] == [1.0, 1.0, 1.0]


def test_after_a_message_pauses_are_short_again():
    backoff = Backoff(1.0, random.Random(1))
    for _ in range(8):
        backoff.next_pause_s()
    backoff.reset()
    assert backoff.next_pause_s() == pytest.approx(0.1)


def test_a_ring_before_the_wait_is_heard():
    bell = Bell()
    heard = bell.count
    bell.ring()
    assert bell.wait(heard, seconds=0)


def test_without_a_ring_the_wait_ends_in_time():
    bell = Bell()
    assert not bell.wait(bell.count, seconds=0.01)


def test_a_ring_wakes_all_who_wait():
    bell = Bell()
    woken: list[bool] = []
    threads = [threading.Thread(target=lambda: woken.append(bell.wait(0, seconds=10))) for _ in range(3)]
    for thread in threads:
        thread.start()
    bell.ring()
    for thread in threads:
        thread.join()
    assert woken == [True, True, True]
