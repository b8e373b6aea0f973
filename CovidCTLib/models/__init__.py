"""The networks: architectures, shipped weights, their cards, and how they are run."""
