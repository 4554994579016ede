"""Imports what every worker needs, in the process that workers are copies of.

Where that fails the process ends, and workers import for themselves: they say what is wrong. What
is imported by half would make them say something else.
"""

import os

from experiments.process.inherited import own_process

try:
    own_process()
    from experiments.process.quiet import import_keras_quietly

    import_keras_quietly()
    import experiments.training.run  # noqa: F401
except BaseException:
    os._exit(1)
