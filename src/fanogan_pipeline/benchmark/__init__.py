"""f-AnoGAN beside what a user would pick instead: each class normal in turn, on the very same splits."""
