"""The environment that a benchmark was started in, before the suite adds to it."""

import os

AS_GIVEN = dict(os.environ)
