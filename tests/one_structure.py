"""What networks of `mnist_cnn` have in common in tests that look at something else.

Trials of one structure are traced once.
"""

STRUCTURE = {
    "conv_blocks": 1, "filters_0": 16, "kernel_size": 3, "pooling": "max", "batch_norm": False,
    "convs_per_block": 1, "dense_layers": 0, "head": "flatten", "batch_size": 64,
}  # fmt: skip
