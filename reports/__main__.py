"""`python -m reports STUDY [--runs-dir runs]`: writes a study's report."""

from experiments.cli import report

if __name__ == "__main__":
    report.main(prog_name="python -m reports")
