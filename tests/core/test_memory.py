"""The bounded memory."""

import pytest

from authguard._core.memory import Memory


def test_what_was_put_is_found():
    """A value is found by its key."""
    memory = Memory(4)
    memory.put("a", 1)
    assert memory.get("a") == 1


def test_what_was_not_put_is_not_found():
    """An unknown key gives None."""
    assert Memory(4).get("a") is None


def test_the_older_generation_is_still_found():
    """A value is kept after one change of generations."""
    memory = Memory(4)
    for key in "abc":
        memory.put(key, key)
    assert memory.get("a") == "a"


def test_what_nobody_asks_for_is_forgotten():
    """A value that was not read is dropped with its generation."""
    memory = Memory(4)
    for key in "abcde":
        memory.put(key, key)
    assert memory.get("a") is None


def test_what_is_asked_for_stays():
    """A value that was read moves to the young generation."""
    memory = Memory(4)
    for key in "abc":
        memory.put(key, key)
    memory.get("a")
    for key in "de":
        memory.put(key, key)
    assert memory.get("a") == "a"


@pytest.mark.parametrize("size", [1, 2, 3, 10, 100], ids=lambda size: f"size-{size}")
def test_it_never_holds_more_than_its_size(size):
    """The memory has at most as many values as its size, which is at least two."""
    memory = Memory(size)
    for number in range(1000):
        memory.put(number, number)
        assert len(memory) <= max(size, 2)


@pytest.mark.parametrize("size", [2, 10, 100], ids=lambda size: f"size-{size}")
def test_it_always_holds_half_of_its_size(size):
    """The newest half of the values is always in memory."""
    memory = Memory(size)
    for number in range(1000):
        memory.put(number, number)
    assert all(memory.get(1000 - age) is not None for age in range(1, size // 2 + 1))


def test_forget_drops_one_thing_from_both_generations():
    """A forgotten value is dropped from both generations."""
    memory = Memory(4)
    for key in "abc":
        memory.put(key, key)
    memory.get("a")
    memory.forget("a")
    assert memory.get("a") is None


def test_forget_does_not_mind_unknown_keys():
    """`forget` with an unknown key changes nothing."""
    memory = Memory(4)
    memory.put("a", 1)
    memory.forget("b")
    assert len(memory) == 1


def test_clear_drops_everything():
    """After `clear` the memory is empty."""
    memory = Memory(4)
    for key in "abc":
        memory.put(key, key)
    memory.clear()
    assert len(memory) == 0
