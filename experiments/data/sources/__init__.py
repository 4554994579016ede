"""Image-classification datasets by name: `mnist`, `cats_vs_dogs`, `digits`, `tfds:`, `folder:`."""
