"""Spaces build at their default and declare what they are documented to."""

import keras_tuner
import pytest

from search_spaces import names, space_class

SHAPES = {"mnist_cnn": ((28, 28, 1), {}), "transfer_head": ((64, 64, 3), {"weights": "none"})}


@pytest.mark.parametrize("name", names())
def test_default_builds_and_every_hyperparameter_has_a_meaning(name: str) -> None:
    shape, settings = SHAPES[name]
    space = space_class(name)(shape, 3, **settings)
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    model = space.build(hp)
    assert model.output_shape == (None, 3)
    families = {h.name.rstrip("0123456789") for h in hp.space}
    documented = {m.rstrip("0123456789") for m in space.meanings}
    assert families <= documented


def test_unknown_space_lists_what_there_is() -> None:
    with pytest.raises(ValueError, match="mnist_cnn, transfer_head"):
        space_class("nope")
