"""What is left out of an import, until something asks for it."""

import subprocess
import sys

import pytest

CODE = """
from experiments.process.quiet import import_keras_quietly
import_keras_quietly()
import sys
assert not {"sklearn", "scipy", "matplotlib"} & set(sys.modules), "imported at once"
import keras, keras_tuner
from keras_tuner.src.tuners import bayesian
regressor = bayesian.sklearn.gaussian_process.GaussianProcessRegressor
minimize = bayesian.scipy.optimize.minimize
gallery = keras.visualization.plot_image_gallery
classifier = keras.wrappers.SKLearnClassifier
import scipy.optimize
from sklearn.gaussian_process import GaussianProcessRegressor
from keras.visualization import plot_image_gallery
from keras.wrappers import SKLearnClassifier
assert regressor is GaussianProcessRegressor and minimize is scipy.optimize.minimize
assert gallery is plot_image_gallery and classifier is SKLearnClassifier
try:
    bayesian.sklearn.no_such_name
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.slow
def test_what_searches_do_not_use_is_imported_when_it_is_asked_for() -> None:
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "No module named 'sklearn.no_such_name'\n"), run
