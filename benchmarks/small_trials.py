"""Trials of a small CNN, one process: the suite against plain Keras Tuner."""

from common import (
    outside_fit,
    parser,
    phase_seconds,
    prepared,
    proposals_of,
    run_plain,
    run_suite,
    search_config,
    workplace,
)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--trials", type=int, default=4)
    arguments.add_argument("--epochs", type=int, default=2)
    arguments.add_argument("--images", type=int, default=12000)
    given = arguments.parse_args()
    if given.quick:
        given.trials, given.images = 3, 3000
    with workplace() as folder:
        config = search_config(
            folder,
            given.data_dir,
            space="mnist_cnn",
            dataset="mnist",
            sample=given.images,
            # The tutorial's model, its learning rate searched: every trial costs the same. Images
            # stay as they are, for plain Keras Tuner changes none.
            fix={
                "conv_blocks": 1,
                "filters_0": 32,
                "kernel_size": 3,
                "pooling": "max",
                "dense_layers": 1,
                "dense_units_0": 128,
                "batch_norm": False,
                "optimizer": "adam",
                "batch_size": 64,
                "convs_per_block": 1,
                "head": "flatten",
                "augment": "none",
            },
            max_trials=given.trials,
            max_epochs=given.epochs,
        )
        data = prepared(config)
        study, suite = run_suite(config)
        phases = phase_seconds(study)
        plain = sum(run_plain(config, data, proposals_of(study), folder / "plain"))
    print(f"{given.trials} trials x {given.epochs} epochs, {given.images:,} images of MNIST")
    print(f"plain Keras Tuner: {plain:.1f} s")
    print(f"suite: {suite:.1f} s")
    print("  mean seconds of a trial: " + ", ".join(f"{n} {s:.2f}" for n, s in phases.items()))
    print(f"  outside fit: {outside_fit(phases):.2f} s a trial")
    print(f"ratio: {plain / suite:.2f}")


if __name__ == "__main__":
    main()
