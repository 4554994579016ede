"""Image-classification datasets by name: `mnist`, `digits`, `tfds:`, `folder:`, `npz:`, `file:`."""
