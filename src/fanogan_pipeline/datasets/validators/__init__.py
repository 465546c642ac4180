"""What each dataset of the catalog must hold, checked by Kedro on every load and save (`validator:` in the catalog).

Each function takes the data and raises `InputError` where it is not what its consumers rely on.
"""

from fanogan_pipeline.datasets.validators.models import checkpoint, detector, log_folder, onnx_model, training_states
from fanogan_pipeline.datasets.validators.pictures import (
    figure,
    figure_folder,
    image_set,
    image_source,
    normal_set,
    residual_maps,
)
from fanogan_pipeline.datasets.validators.summaries import metrics, new_summary, pixel_quality, report, run_manifest
from fanogan_pipeline.datasets.validators.tables import (
    benchmark_comparisons,
    benchmark_scores,
    benchmark_summary,
    benchmark_table,
    class_table,
    history,
    new_score_table,
    new_verdicts,
    refinement_quality,
    score_choice,
    score_table,
    split_manifest,
)
