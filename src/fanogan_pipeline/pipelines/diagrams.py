"""What the training nodes compute, as diagrams for kedro-viz (Schlegl et al. 2019, figure 2)."""

from kedro.pipeline.preview_contract import MermaidPreview

WGAN = """
flowchart LR
    z(["z, drawn from the prior"]) --> G["generator G"] --> fake["G(z)"]
    x["x, a normal image"] --> D["critic D"]
    fake --> D
    x --> mix["a x + (1 - a) G(z)"]
    fake --> mix --> D
    D --> real(["D(x)"]) --> critic{{"critic's loss: mean D(G(z)) - mean D(x), with wgan_gp + lambda * penalty"}}
    D --> judged(["D(G(z))"]) --> critic
    D --> slope["gradient penalty of wgan_gp: (|grad D| - 1)^2"] --> critic
    judged --> generator{{"generator's loss: - mean D(G(z))"}}
"""

ENCODER = """
flowchart LR
    x["x, a normal image"] -->|corrupted in training| E["encoder E"] --> z(["z = E(x)"])
    z --> G["generator G, frozen"] --> restored["G(E(x))"]
    x --> image["image term: |x - G(E(x))|^2 / n"]
    restored --> image
    x --> f["critic's features f, frozen"]
    restored --> f
    f --> feature["feature term: |f(x) - f(G(E(x)))|^2 / n_f"]
    image --> loss{{"loss: image term, with izi_f + kappa * feature term"}}
    feature --> loss
"""


def wgan() -> MermaidPreview:
    """Phase 1: generator against critic."""
    return MermaidPreview(content=WGAN)


def encoder() -> MermaidPreview:
    """Phase 2: the encoder learns to invert the frozen generator."""
    return MermaidPreview(content=ENCODER)
