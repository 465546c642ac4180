"""The words of the report on its figures: what each shows, how a failure looks, what it is drawn from."""

from __future__ import annotations

# name of the figure: title, how to read it, how a bad one looks, the stored datasets it is drawn from; in the order of
# the report
FIGURES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "score_boxplot": (
        "Scores by class",
        "Each box holds the middle half of one class's scores, with the median as a line. Boxes right of the solid "
        "threshold are flagged. The normal classes stand on top; below them the other classes, those most like the "
        "normal ones first. The column on the right says how much of each class was flagged.",
        "Boxes of other classes that overlap the normal box: those anomalies look too much like normal images, and no "
        "threshold will catch them without false alarms.",
        ("test_scores", "metrics"),
    ),
    "score_histogram": (
        "Scores of normal and anomalous images",
        "Above: normal test images (filled) and the calibration images that set the threshold (dashed outline). "
        "Below: anomalous test images, on the same axis. The less the two halves overlap, the better.",
        "An outline that lies clearly left of the filled bars: the test set's normal images differ from those the "
        "threshold was set on, and there will be more false alarms than promised.",
        ("test_scores", "calibration_scores", "metrics"),
    ),
    "roc_curve": (
        "Anomalous images caught against false alarms",
        "Every threshold is a point: how many normal images it flags (to the right) and how many anomalous ones it "
        "catches (upwards). The ring is the threshold in use. The right panel spreads out the rare false alarms, "
        "where a detector is used. AUROC is the area under the curve: the chance that a random anomalous "
        "image scores higher than a random normal one.",
        "A curve near the dotted line is guessing; one below it ranks normal images as the more anomalous.",
        ("test_scores",),
    ),
    "precision_recall_curve": (
        "How far a flag can be trusted",
        "Precision is the share of flagged images that are anomalous. It depends on how many anomalous images there "
        "are: the dotted line, the prevalence in this test set, is what guessing reaches. Where anomalies are rarer "
        "in practice than here, precision will be lower there.",
        "A curve that drops to the dotted line early: beyond that recall, flags say nothing.",
        ("test_scores",),
    ),
    "refinement_curve": (
        "What a search for a better z buys",
        "How well the score ranks and how long a picture takes, where z is E(x) and where it is then improved by so "
        "many gradient steps (f-AnoGAN), and where the search starts at a random z (AnoGAN). Further up is better, "
        "further left is faster; the whiskers are intervals.",
        "Points of the search from a random z above all those from E(x): the encoder was trained too short, or badly.",
        ("refinement_quality",),
    ),
    "decision_gallery": (
        "Verdict and truth",
        "Test images in four rows, named decided_true: in_in judged normal and normal, in_out missed, out_in false "
        "alarms, out_out caught. Look at the two rows in the middle: they show what the detector gets wrong.",
        "False alarms that look like any other normal image, or missed images that anyone would spot.",
        ("test_set", "test_scores"),
    ),
    "heatmap_gallery": (
        "Where images are unlike normal ones",
        "Each image, its restoration, and how unusual each pixel is, on one scale for all: 1 is what normal images "
        "have. Bright spots are restored worse than normal images are there; in pictures cut into tiles also spots "
        "that look like no normal surface, be they too rough or too smooth. Only a score of the map (scoring.score: "
        "map) is made of it, others may see more or less. Where the truth is known pixel by pixel, it stands below.",
        "Maps that follow every edge of normal images too: the restorations are blurred, and fine defects drown.",
        (
            *("test_set", "test_scores", "residual_maps", "wgan_model", "encoder_model"),
            *("residual_statistics", "detector"),
        ),
    ),
    "restoration": (
        "Images and their restorations",
        "Images that were not trained on, what the encoder and the generator make of them, and the "
        "difference. A normal image should come back nearly as it was, so that the difference is faint.",
        "Restorations that all look alike (a collapsed generator or an encoder that learnt nothing), are blurred, or "
        "show another shape than the image.",
        ("selection_set", "wgan_model", "encoder_model"),
    ),
    "generated_samples": (
        "Generated images",
        "What the generator makes of random latent vectors z. They should look like normal images and vary as "
        "those do, since an image can only be restored to something the generator can make.",
        "The same image over and over is mode collapse; noise, blank or half-finished images mean that phase 1 "
        "was too short or its learning rates too high.",
        ("wgan_model",),
    ),
    "latent_walk": (
        "A walk through the latent space",
        "Images along two directions of z, evenly spaced. Neighbours should differ little, and the walk should pass "
        "through many kinds of normal image. With more than two latent dimensions z comes near the length of a random "
        "one towards the corners only: in the middle images may fade without any fault.",
        "Sudden jumps, or large areas of the same image: parts of the latent space that the generator makes no use of.",
        ("wgan_model",),
    ),
    "wgan_curves": (
        "Phase 1: the WGAN's training",
        "The critic gives real images (term real) higher values than generated ones (term fake); the distance "
        "between both estimates how far generated images still are from real ones. Under a penalty or "
        "clipping it rises at first, then shrinks slowly or levels off. Loss G is the negative term fake.",
        "Terms that grow without end: the critic diverges, as it may without penalty or clipping. A distance that "
        "falls to zero at once: the critic has stopped telling real from generated, and teaches nothing.",
        ("wgan_history",),
    ),
    "encoder_curves": (
        "Phase 2: the encoder's training",
        "Term izi says how far restored images are from their originals, term ziz the same of latent vectors, term "
        "features the critic's view of the former. Those that are part of the objective should fall and level off. "
        "Loss E is their weighted sum, with encoder.normalise terms izi and features each over how much real images "
        "vary.",
        "A loss that never falls (learning rate too low, generator collapsed) or one that still falls steeply at the "
        "last step (train longer).",
        ("encoder_history",),
    ),
}


def figure_words(name: str) -> tuple[str, str, str, tuple[str, ...]]:
    """What `FIGURES` says of a figure; a bare title for one not known there."""
    return FIGURES.get(name, (name.replace("_", " ").capitalize(), "", "", ()))
