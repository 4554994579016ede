"""Search methods by name, and the earlier trials that inform them."""

from typing import TYPE_CHECKING, Any

from experiments.methods.prior_trials import PriorTrial

if TYPE_CHECKING:
    from experiments.methods.oracles.optuna_oracle import OptunaOracle

__all__ = ["OptunaOracle", "PriorTrial"]


def __getattr__(name: str) -> Any:
    # Imported when used: Optuna loads slowly, and most methods have no need of it.
    if name == "OptunaOracle":
        from experiments.methods.oracles.optuna_oracle import OptunaOracle

        return OptunaOracle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
