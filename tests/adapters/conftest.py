"""The adapters: one event loop for the requests of all tests."""

from event_loop import one_event_loop  # noqa: F401  # a fixture
