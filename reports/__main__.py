"""`python -m reports STUDY [--runs-dir runs]`: writes a study's report."""

import sys

from experiments.cli import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]], prog_name="python -m reports")
