"""Messages of a script's search: they name keyword arguments."""

import pytest

from experiments.record.errors import UserError
from experiments.search.keywords import as_keywords, in_keywords


@pytest.mark.parametrize(
    ("option", "keyword"),
    [
        ("--deadline '5x': expected", "deadline='5x': expected"),
        (
            "--pruner asha compares single trainings; leave out --executions-per-trial, or take "
            "--pruner none",
            "pruner='asha' compares single trainings; leave out executions_per_trial, or take "
            "pruner='none'",
        ),
        ("the search ends (--max-failures)", "the search ends (max_consecutive_failed_trials)"),
        ("--from informs methods", "warm_start informs methods"),
        ("--try: points", "tries: points"),
        ("give --max-trials 12 or more", "give max_trials=12 or more"),
        ("auto: --method random, because", "auto: method='random', because"),
        ("--runs-dir 'a b' can't be written", "directory='a b' can't be written"),
        ("take it with --accept-changed-source", "take it with --accept-changed-source"),
        ("x--workers and --- lines", "x--workers and --- lines"),
        (
            "--workers: see `experiments status p --runs-dir . --watch`",
            "workers: see `experiments status p --runs-dir . --watch`",
        ),
    ],
)
def test_options_are_named_as_keyword_arguments(option: str, keyword: str) -> None:
    assert as_keywords(option) == keyword
    with pytest.raises(UserError) as raised, in_keywords():
        raise UserError(option)
    assert str(raised.value) == keyword
