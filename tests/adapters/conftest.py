"""Run the requests of all tests of the adapters in one event loop."""

from event_loop import one_event_loop  # noqa: F401  # a fixture
