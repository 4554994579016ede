"""Sample test images with the model's predictions and the images' original sizes."""

from experiments.record.formatting import plural
from experiments.record.predictions import Targets
from reports.figures._gallery import Gallery, collect, draw_gallery, gallery_height
from reports.study.study import Study

SECTION, ORDER = "what-it-sees", 71
TITLE = "Predictions on unseen images"


def info(study: Study) -> Gallery | str:
    """Collects sample images of every class; sizes are those before preparation."""
    return collect(study, "test", "The test split is empty.")


def finding(info: Gallery) -> str:
    """Says how many of the shown predictions are right."""
    count = len(info.wrong)
    if info.task is Targets.VALUES:
        return f"What is predicted of {plural(count, 'test image')}, with the original size."
    if info.task is Targets.LABELS:
        return (
            f"Of {count - sum(info.wrong)} of {plural(count, 'test image')} every label is right."
        )
    num_correct = len(info.wrong) - sum(info.wrong)
    return (
        f"{num_correct} of {len(info.wrong)} test images, the classes in turn, are classified "
        "rightly; below each what is said, how surely, and the original size."
    )


height, draw = gallery_height, draw_gallery
