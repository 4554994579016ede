"""Imports what every worker needs, in the process that workers are copies of.

What goes wrong here is left for a worker to meet, which imports again and says so.
"""

from contextlib import suppress

from experiments.process.inherited import own_process
from experiments.process.quiet import import_keras_quietly

with suppress(BaseException):
    own_process()
    import_keras_quietly()
    import experiments.training.run  # noqa: F401
