"""Find anomalous images after seeing only normal ones (f-AnoGAN) as a Kedro pipeline."""

__version__ = "0.1.0"
