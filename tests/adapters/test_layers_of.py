"""The layers of middleware around an application are found, and the search for them ends."""

from typing import Any

import pytest
from starlette.applications import Starlette

from authguard._layers import MAX_LAYERS, layers_of


class Layer:
    """A layer around an application, like middleware of Starlette."""

    def __init__(self, app: Any) -> None:
        self.app = app


@pytest.mark.parametrize(("layers", "is_reached"), [(0, True), (MAX_LAYERS - 1, True), (MAX_LAYERS, False)])
def test_an_application_is_found_below_fewer_layers_than_the_limit(layers: int, is_reached: bool) -> None:
    """The application itself counts as one of the layers."""
    inner = Starlette()
    app: Any = inner
    for _ in range(layers):
        app = Layer(app)
    assert (inner in list(layers_of(app))) is is_reached


def test_a_layer_that_wraps_itself_does_not_hold_the_start_up() -> None:
    """The search through a layer that wraps itself ends at the limit."""
    layer = Layer(None)
    layer.app = layer
    assert list(layers_of(layer)) == [layer] * 100


def test_nothing_has_no_layers() -> None:
    """A mount of another framework may have no application."""
    assert list(layers_of(None)) == []
