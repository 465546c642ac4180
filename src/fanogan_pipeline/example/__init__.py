"""Small data sets of our own making, cloth and metal with masked defects. Seeded, numpy, scipy and Pillow only."""
