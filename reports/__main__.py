"""`python -m reports STUDY [--runs-dir runs]`: writes a study's report."""

from experiments.cli import main

if __name__ == "__main__":
    main.commands["report"].main(prog_name="python -m reports")
