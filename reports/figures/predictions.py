"""Some test images with what the model says of them, and their original sizes."""

from matplotlib.figure import Figure

from reports.figures._gallery import gallery
from reports.figures.mistakes import Info, collect
from reports.load import Study

ORDER, RASTER = 80, True
TITLE = "Predictions on unseen images"
QUESTION = "What does the data look like, and what does the exported model say of it?"


def info(study: Study) -> Info | str:
    """Collects sample images of every class; sizes are those before preparation."""
    return collect(study, "test", "The test split is empty.")


def draw(info: Info) -> Figure:
    """Draws the pictures with the predicted class."""
    return gallery(info.images, info.captions, info.wrong)
