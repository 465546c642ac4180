"""Pictures of one group, a patient's or a lot's: alike for another reason than being normal."""

from __future__ import annotations

import numpy as np

from fanogan_pipeline.images import ImageSet


def belonging(pictures: np.ndarray, group: np.ndarray) -> np.ndarray:
    """What each image belongs to: its group, or where it has none ("") its picture; all of them str [N]."""
    return np.where(group != "", np.char.add("group ", group), np.char.add("picture ", pictures))


def group_count(image_set: ImageSet) -> int | None:
    """Groups that its pictures are of, a picture that stands alone being one of its own; None where all do."""
    if image_set.group is None:
        return None
    first = image_set.first_rows
    count = len(np.unique(belonging(image_set.image_id[first], image_set.group[first])))
    return count if count < len(first) else None
