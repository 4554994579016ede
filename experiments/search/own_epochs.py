"""Whether a `HyperModel.fit` of one's own can be told how many epochs to train."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

_PLACE = 3  # of `epochs` among the arguments of Keras' `fit`
_EPOCHS = "epochs"


def said(fit: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Returns the epochs in what `search` passes to a `fit`; `None` if it says none.

    Args:
        fit: Takes hyperparameters and model first.
        args: What it gets after them.
        kwargs: Likewise.
    """
    names = list(inspect.signature(fit).parameters)[2:]
    place = names.index(_EPOCHS) if _EPOCHS in names else _PLACE
    return kwargs.get(_EPOCHS, next(iter(args[place:]), None))


def is_taken(fit: Callable[..., Any]) -> bool:
    """Whether a `fit` takes `epochs`, and sets none itself beside those that it is given."""
    parameters = inspect.signature(fit).parameters
    further = [n for n, p in parameters.items() if p.kind == Parameter.VAR_KEYWORD]
    return _EPOCHS in parameters or (bool(further) and not _sets_them(fit, further[0]))


def _sets_them(fit: Callable[..., Any], further: str) -> bool:
    """Whether the source calls `f(epochs=..., **further)`; not where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(fit)))
    except (OSError, TypeError, SyntaxError):
        return False
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    passed = [{k.arg or ast.unparse(k.value) for k in call.keywords} for call in calls]
    removed = f"{further}.pop('{_EPOCHS}'"
    is_removed = any(ast.unparse(call).startswith(removed) for call in calls)
    return any({_EPOCHS, further} <= names for names in passed) and not is_removed
