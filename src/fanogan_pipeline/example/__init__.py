"""A small data set of our own making: woven cloth with masked defects. Seeded, numpy, scipy and Pillow only."""
