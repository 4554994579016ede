"""The test images that the model was most surely wrong about."""

from experiments.record.formatting import plural
from experiments.record.predictions import Targets
from reports.figures._gallery import Gallery, collect, draw_gallery, gallery_height
from reports.study.study import Study

SECTION, ORDER = "mistakes", 61
TITLE = "Worst mistakes"


def info(study: Study) -> Gallery | str:
    """Collects the worst mistakes."""
    return collect(study, "mistake", "The exported model makes no mistake on the test split.")


def finding(info: Gallery) -> str:
    """Says what is shown."""
    count = len(info.images)
    if info.task is not Targets.CLASSES:
        return f"The {plural(count, 'test image')} with the largest errors, the largest first."
    which = "This test image is the one" if count == 1 else f"These {count} test images are those"
    return (
        f"{which} that it is surest and wrong about: look "
        "for wrong labels, cropped or ambiguous images."
    )


height, draw = gallery_height, draw_gallery
