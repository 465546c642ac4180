"""From pictures as they are found to sets of one size on their sides of the split; no files, no Kedro."""
