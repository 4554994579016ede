"""How a trial that was stopped early is told in Keras Tuner's files, which have no state for it."""

PRUNED = "pruned"  # what its message begins with


def was_pruned(status: str, message: object) -> bool:
    """Whether a trial of that status and message was stopped before its last epoch."""
    return status == "COMPLETED" and str(message or "").startswith(PRUNED)


DEFAULT = "default"  # the id under which the space's own default is trained and tested


CHECKPOINT = "checkpoint.weights.h5"


SNAPSHOTS = "snapshot-*.npz"


ATTEMPTS = "attempts.json"
