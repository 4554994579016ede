"""`experiments.SklearnTuner`: Keras Tuner's tuner of scikit-learn models, which leaves a study."""

from typing import Any

import keras_tuner
from sklearn.model_selection import KFold

from experiments.search.drop_in import Tuner

_Plain = keras_tuner.SklearnTuner


class SklearnTuner(Tuner):
    """Scores scikit-learn models by cross-validation; use it as `keras_tuner.SklearnTuner`.

    Args:
        oracle: One of Keras Tuner's, or `None`.
        hypermodel: A function of `HyperParameters` that returns a model of scikit-learn.
        scoring: Called with the model and test data; the model's own score if `None`.
        metrics: One or more functions of `sklearn.metrics` that are recorded too.
        cv: How samples are split; in five parts if `None`.
        **kwargs: As of `Tuner`. The objective is `score`, of which more is better, if it is not
            given.
    """

    def __init__(
        self,
        oracle: Any = None,
        hypermodel: Any = None,
        scoring: Any = None,
        metrics: Any = None,
        cv: Any = None,
        **kwargs: Any,
    ) -> None:
        asked = {"objective": "score:max"} if oracle is None else {"oracle": oracle}
        super().__init__(hypermodel, **{**asked, **kwargs})
        self.scoring = scoring
        self.metrics = metrics if isinstance(metrics, list | tuple) else [metrics] * bool(metrics)
        self.cv = cv or KFold(5, shuffle=True, random_state=1)

    run_trial = _Plain.run_trial
    save_model = _Plain.save_model
    load_model = _Plain.load_model
