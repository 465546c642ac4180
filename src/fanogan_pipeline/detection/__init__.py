"""Residuals, score, calibration and evaluation: arrays and tables in, arrays and tables out."""
