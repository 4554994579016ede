"""Resumes a study; Keras is imported only if there is work left."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments.display.base import Display
from experiments.executors import begun_early
from experiments.executors.starting import refuse_while_spawning
from experiments.process.inherited import before_imports, refuse_shared_trials
from experiments.record.lock import locked
from experiments.record.study import find_study, read_study, refuse_script
from experiments.search.finished import find_finished
from experiments.search.places import check_code, given_again
from experiments.search.resume import changed_config, check_end
from experiments.search.search_result import SearchResult


def resume_search(
    study: str | Path,
    runs_dir: str | Path = "runs",
    changes: Mapping[str, Any] | None = None,
    display: Display | None = None,
    import_keras: Callable[[], None] = before_imports,
    accept_changed_source: bool = False,
    data: object = None,
) -> SearchResult:
    """Resumes an interrupted search, or extends a finished one.

    Args:
        study: Name of the study in `runs_dir`, or its folder.
        runs_dir: Folder of studies.
        changes: Fields of `SearchConfig` with new values.
        display: Shows the progress.
        import_keras: Called before Keras is needed, and only then.
        accept_changed_source: Whether files of a user's own may have changed: model, base, weights.
        data: The arrays that the search was begun with, if the cache does not have them any more.

    Raises:
        UserError: There is no such study, it is being searched already, or a change is not allowed;
            the study is not modified.
        InterruptedSearchError: It was interrupted again.
    """
    refuse_while_spawning()
    refuse_shared_trials()
    display = display or Display()
    folder = find_study(study, runs_dir)
    refuse_script(read_study(folder), folder.name)
    with locked(folder):
        record = read_study(folder)
        if data is not None:
            changes = dict(changes or {})
            options, cache = record["config"], changes.get("cache_dir")
            changes["dataset"] = given_again(data, options, folder, cache)
        check_end(folder, record["config"], changes or {})
        config = changed_config(record, folder, changes or {})
        finished = find_finished(record, folder, config, display)
        if finished is not None:
            return finished.report(display)
        if not (changes or {}).get("dataset"):
            check_code(config.dataset, folder)
        with begun_early(config, import_keras) as executor:
            from experiments.search.run import go_on

            return go_on(record, folder, config, display, accept_changed_source, executor)
