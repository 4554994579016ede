"""Health checks and calibration on noise, and on the case that each is there to find.

A share of repetitions scatters by chance: a row holds if it is not beyond what is asked by more
than two of its standard errors.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.believing.rows import Row, at_least, at_most
from reports.analysis.health.found import follows, gain_of_half, is_enough, num_close
from reports.analysis.health.ranges import ends_reached
from reports.analysis.health.recorded import where_all_are
from reports.analysis.health.training import GAP, share_gap, still_improving, turned_up
from reports.figures.calibration import is_off
from reports.statistics.calibration import calibration
from reports.statistics.noise import Noise, pooled
from reports.statistics.space import Axis
from reports.statistics.unimportant import SHARE, explains_little

_Array = npt.NDArray[np.float64]
_Rng = np.random.Generator
_NOISE, _CASE = "<= 5 %", ">= 80 %"
_AXES = 5


def rows(seed: int, quick: bool = False) -> list[Row]:
    """Simulates everything; about four minutes on one core, with `quick` ten seconds."""
    many = 60 if quick else 1500
    rng = np.random.default_rng([seed, 0x4EA1])
    return [
        *range_ends(rng, many, 3 if quick else 80),
        *improving(rng, many),
        *overfitting(rng, many),
        *failures(rng, many),
        *budgets(rng, many),
        *ties(rng, many),
        *idle(rng, many),
        *calibrated(rng, 10 if quick else 200),
    ]


def _row(figure: str, case: str, asked: str, times: int, one: Callable[[], bool]) -> Row:
    hits = sum(bool(one()) for _ in range(times))
    if asked == _NOISE:
        return at_most(figure, case, hits, times, 0.05)
    return at_least(f"{figure}: found", case, hits, times, 0.8)


def _axes(table: _Array) -> list[Axis]:
    used = np.ones(len(table), dtype=bool)
    return [Axis(str(i), column, 0.0, 1.0, (), 0.5, used) for i, column in enumerate(table.T)]


def _scores(x: _Array, share: float, shape: str, rng: _Rng) -> _Array:
    """Scores of which `x` explains `share`, rising with it or curved with the best at 1."""
    effect = x if shape == "straight" else -((x - 1) ** 2)
    spread = math.sqrt(1 / 12) if shape == "straight" else math.sqrt(1 / 5 - 1 / 9)
    noise = rng.standard_normal(len(x))
    return np.asarray(math.sqrt(share) * effect / spread + math.sqrt(1 - share) * noise)


def range_ends(rng: _Rng, times: int, searches: int) -> list[Row]:
    """Ends named by random search and by `tpe`, and an optimum at an end."""

    def noise(num_trials: int) -> bool:
        axes = _axes(rng.random((num_trials, _AXES)))
        return bool(ends_reached(axes, rng.standard_normal(num_trials), np.arange(num_trials)))

    def case(num_trials: int, share: float, shape: str) -> bool:
        table = rng.random((num_trials, _AXES))
        scores = _scores(table[:, 0], share, shape, rng)
        found = ends_reached(_axes(table), scores, np.arange(num_trials))
        return ("0", "upper") in [(name, end) for name, end, _ in found]

    def proposed(matters: bool) -> bool:
        table, scores = _tpe(rng, 40, matters)
        found = ends_reached(_axes(table), scores, np.arange(len(scores)))
        return any(name != "0" or not matters for name, _, _ in found)

    figure = "range ends"
    found = [
        _row(figure, f"noise, {n} trials", _NOISE, times, lambda n=n: noise(n))
        for n in (10, 20, 40, 100)
    ]
    found += [
        _row(figure, f"noise, 40 trials by tpe, {what}", _NOISE, searches,
             lambda m=m: proposed(m))
        for m, what in ((False, "nothing matters"), (True, "one matters: the inert others"))
    ]  # fmt: skip
    return found + [
        _row(figure, f"optimum at an end, {n} trials, explains {share:.0%}, {shape}", _CASE,
             times, lambda n=n, s=share, k=shape: case(n, s, k))
        for n, share in ((20, 0.8), (40, 0.65), (100, 0.5))
        for shape in ("straight", "curved")
    ]  # fmt: skip


def _tpe(rng: _Rng, num_trials: int, matters: bool) -> tuple[_Array, _Array]:
    """A search by Optuna's TPE in which no hyperparameter, or the first alone, matters."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=int(rng.integers(2**31)))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(num_trials):
        trial = study.ask()
        values = [trial.suggest_float(str(i), 0, 1) for i in range(_AXES)]
        signal = 3 * -abs(values[0] - 0.6) if matters else 0.0
        study.tell(trial, signal + rng.standard_normal() * (0.3 if matters else 1.0))
    table = [[t.params[str(i)] for i in range(_AXES)] for t in study.trials]
    return np.array(table), np.array([t.value for t in study.trials], dtype=float)


def _says(found: tuple[bool, float, int] | None) -> bool:
    return found is not None and found[0]


def improving(rng: _Rng, times: int) -> list[Row]:
    """Flat curves, flat curves that patience ends, and curves that still rise."""

    def curves(num_epochs: int, gain: float, count: int = 6) -> list[_Array]:
        return list(rng.standard_normal((count, num_epochs)) + gain * np.arange(num_epochs))

    figure = "still improving"
    noise = [
        _row(figure, f"noise, {n} epochs", _NOISE, times,
             lambda n=n: _says(still_improving(curves(n, 0.0, 8), n)))
        for n in (3, 5, 10, 40)
    ]  # fmt: skip
    noise += [
        _row(figure, f"noise, up to 8 epochs, patience {p}", _NOISE, times,
             lambda p=p: _says(still_improving([c for _, c in _patient(rng, p, 8)], 8)))
        for p in (3, 5)
    ]  # fmt: skip
    return noise + [
        _row(figure, f"6 trials of {n} epochs, gain of 1 deviation an epoch", _CASE, times,
             lambda n=n: _says(still_improving(curves(n, 1.0), n)))
        for n in (3, 5, 10, 40)
    ]  # fmt: skip


def _patient(rng: _Rng, patience: int, limit: int) -> list[tuple[_Array, _Array]]:
    """Flat validation losses and scores of eight trials, as patience ends them."""
    found = []
    for _ in range(8):
        scores = rng.standard_normal(limit)
        losses = -0.7 * scores + 0.7 * rng.standard_normal(limit)
        best = np.maximum.accumulate(scores)
        since = np.arange(limit) - [int(np.argmax(scores[: e + 1])) for e in range(limit)]
        ended = np.flatnonzero((since >= patience) & (best > -math.inf))
        stop = int(ended[0]) + 1 if len(ended) else limit
        found.append((losses[:stop], scores[:stop]))
    return found


def overfitting(rng: _Rng, times: int) -> list[Row]:
    """Losses that are flat or turn up, and shares on training and validation images."""

    def losses(num_epochs: int, rise: float) -> bool:
        epochs = np.arange(num_epochs)
        bend = rise * np.abs(epochs - num_epochs / 2)
        validation = list(rng.standard_normal((6, num_epochs)) + bend)
        return turned_up([-0.1 * epochs] * 6, validation) is True

    def patient(patience: int) -> bool:
        pairs = _patient(rng, patience, 20)
        behind = [int(np.argmax(s)) + 1 for _, s in pairs]
        falls = [-0.1 * np.arange(len(v)) for v, _ in pairs]
        return turned_up(falls, [v for v, _ in pairs], behind) is True

    def gap(first: float, second: float, images: int) -> tuple[float, ...]:
        shares = rng.binomial(5000, first) / 5000, rng.binomial(images, second) / images
        return share_gap(*shares, 5000, images)

    figure = "overfitting"
    found = [
        _row(figure, f"noise, losses of {n} epochs", _NOISE, times, lambda n=n: losses(n, 0.0))
        for n in (6, 10, 40)
    ]
    found += [
        _row(figure, f"noise, losses, patience {p}", _NOISE, times, lambda p=p: patient(p))
        for p in (3, 5)
    ]
    for images in (100, 1000):
        found += [
            _row(figure, f"noise, shares that are equal, {images} images", _NOISE, times,
                 lambda n=images: gap(0.9, 0.9, n)[0] > GAP),
            _row(figure, f"'does not overfit' of a gap of 5 points, {images} images", _NOISE,
                 times, lambda n=images: gap(0.95, 0.9, n)[1] < GAP),
            _row(figure, f"training 1.00, validation 0.80, {images} images", _CASE, times,
                 lambda n=images: gap(1.0, 0.8, n)[0] > GAP),
            _row(figure, f"a gap of 15 points, {images} images", _CASE, times,
                 lambda n=images: gap(0.95, 0.8, n)[0] > GAP),
        ]  # fmt: skip
    return found + [
        _row(figure, f"losses of {n} epochs rise by 1 deviation an epoch", _CASE, times,
             lambda n=n: losses(n, 1.0))
        for n in (6, 10, 40)
    ]  # fmt: skip


def failures(rng: _Rng, times: int) -> list[Row]:
    """Failures anywhere, and failures in one part of a range."""

    def named(num_trials: int, share: float | None) -> tuple[str, str] | None:
        columns: dict[str, list[str] | _Array] = {
            str(i): rng.random(num_trials) for i in range(_AXES)
        }
        outer = np.asarray(columns["0"]) > 0.8
        failed = outer if share is None else rng.random(num_trials) < share
        columns["choice"] = [str(v) for v in rng.integers(3, size=num_trials)]
        return where_all_are(columns, failed)

    figure = "where failures lie"
    noise = [
        _row(figure, f"noise, {n} trials, {share:.0%} fail", _NOISE, times,
             lambda n=n, s=share: named(n, s) is not None)
        for n in (20, 40, 100) for share in (0.1, 0.3)
    ]  # fmt: skip
    return noise + [
        _row(figure, f"all in the outer fifth fail, {n} trials", _CASE, times,
             lambda n=n: (named(n, None) or ("",))[0] == "0")
        for n in (30, 60)
    ]  # fmt: skip


def budgets(rng: _Rng, times: int) -> list[Row]:
    """Equal trials with known and unknown luck of seeds, and trials that differ."""

    def answer(num_trials: int, spread: float, degrees: int) -> bool | None:
        """`degrees` 0: nothing was trained twice, and luck of seeds as large as of images."""
        table = rng.random((num_trials, _AXES))
        quality = -((table - 0.5) ** 2).sum(axis=1) * spread / math.sqrt(_AXES / 180)
        scores = quality + rng.standard_normal(num_trials) * math.sqrt(2)
        seeds = pooled([rng.standard_normal(degrees + 1).tolist()])[0] if degrees else math.nan
        noise = Noise(1.0, seeds, float(degrees))
        gain = gain_of_half(np.sort(scores)[::-1], "max")
        return is_enough(gain, scores, _axes(table), np.arange(num_trials), noise)

    figure = "too few trials"
    sizes = (15, 40, 150)
    found = [
        _row(figure, f"noise, {n} trials, seeds {'unknown' if not d else f'from {d + 1}'}",
             _NOISE, times, lambda n=n, d=d: answer(n, 0.0, d) is False)
        for n in sizes for d in (0, 2, 20)
    ]  # fmt: skip
    found += [
        _row(figure, f"noise, {n} trials: scores follow a hyperparameter", _NOISE, times,
             lambda n=n: follows(_axes(rng.random((n, _AXES))), rng.standard_normal(n),
                                 np.arange(n)))
        for n in sizes
    ]  # fmt: skip
    return found + [
        _row(figure, f"{n} trials vary 10 times as much as luck, seeds from 3", _CASE, times,
             lambda n=n: answer(n, 10 * math.sqrt(2), 2) is False)
        for n in sizes
    ]  # fmt: skip


def ties(rng: _Rng, times: int) -> list[Row]:
    """A best that is truly ahead, and two that are equal."""

    def counted(ahead: float, degrees: int) -> int:
        """Trials as good as the best: one is ahead of 19 by so many deviations."""
        scores = rng.standard_normal(20) - 30
        scores[0], scores[1] = rng.standard_normal(2) - (0.0, ahead)
        seeds = pooled([rng.standard_normal(degrees + 1).tolist()])[0]
        return num_close(np.sort(scores)[::-1], Noise(math.nan, seeds, degrees).apart())

    figure = "as good as the best"
    return [
        _row(figure, "the best is 5.1 deviations ahead", _NOISE, times,
             lambda: counted(5.2, 200) > 1),
        _row(figure, "two are equal, seeds from 3", _CASE, times, lambda: counted(0.0, 2) > 1),
        _row(figure, "two are equal, seeds from 21", _CASE, times, lambda: counted(0.0, 20) > 1),
    ]  # fmt: skip


def idle(rng: _Rng, times: int) -> list[Row]:
    """A hyperparameter that explains a tenth, and one that explains nothing."""

    def named(num_trials: int, share: float, num_choices: int) -> bool:
        x = rng.random(num_trials)
        values = np.floor(x * num_choices) if num_choices else x
        effect = (values - values.mean()) / values.std()
        noise = rng.standard_normal(num_trials)
        scores = math.sqrt(share) * effect + math.sqrt(1 - share) * noise
        labels = tuple(map(str, range(num_choices)))
        used = np.ones(num_trials, dtype=bool)
        axis = Axis("x", values, 0.0, max(num_choices - 1.0, 1.0), labels, 0.0, used)
        return explains_little(axis, scores)

    figure = "made no difference"
    sizes = ((115, 0), (95, 2), (300, 0), (300, 3))
    kinds = {0: "a number", 2: "a choice of 2", 3: "a choice of 3"}
    return [
        _row(figure, f"{n} trials, {kinds[c]} that explains {share:.0%}", asked, times,
             lambda n=n, c=c, s=share: named(n, s, c))
        for n, c in sizes for share, asked in ((SHARE, _NOISE), (0.0, _CASE))
    ]  # fmt: skip


def calibrated(rng: _Rng, times: int) -> list[Row]:
    """Perfectly calibrated models, and models twice as sure as they should be."""

    def off(num_images: int, num_classes: int, spread: float, factor: float) -> bool:
        logits = rng.standard_normal((num_images, num_classes)) * spread
        truth, stated = _softmax(logits), _softmax(logits * factor)
        chance = rng.random((num_images, 1))
        labels = (truth.cumsum(axis=1) < chance).sum(axis=1).clip(0, num_classes - 1)
        return is_off(calibration(labels, stated, seed=int(rng.integers(2**31))))

    figure = "calibration called off"
    perfect = [
        _row(figure, f"perfect, {n} images, {c} classes, {how}", _NOISE, times,
             lambda n=n, c=c, s=spread: off(n, c, s, 1.0))
        for n, c in ((100, 2), (100, 10), (1000, 3), (1000, 100), (10_000, 10))
        for spread, how in ((1.0, "unsure"), (4.0, "sure"))
    ]  # fmt: skip
    return perfect + [
        _row(figure, f"logits doubled, {n} images, 10 classes", _CASE, times,
             lambda n=n: off(n, 10, 2.0, 2.0))
        for n in (200, 1000)
    ]  # fmt: skip


def _softmax(logits: _Array) -> _Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
