"""One function per figure: arrays and tables in, a matplotlib `Figure` out; and the report that holds them all."""

from fanogan_pipeline.figures.benchmark import benchmark_aurocs
from fanogan_pipeline.figures.curves import encoder_curves, wgan_curves
from fanogan_pipeline.figures.galleries import decision_gallery, heatmap_gallery, restoration
from fanogan_pipeline.figures.quality import precision_recall_curve, roc_curve
from fanogan_pipeline.figures.refinement import refinement_curve
from fanogan_pipeline.figures.report import render_report
from fanogan_pipeline.figures.samples import generated_samples, latent_walk
from fanogan_pipeline.figures.scores import score_boxplot, score_histogram
from fanogan_pipeline.figures.summary import summary_table, verdict_summary
