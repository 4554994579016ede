"""`python -m experiments`."""

from experiments.cli.main import main

if __name__ == "__main__":
    main()
