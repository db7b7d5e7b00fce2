"""From images to integers: volumes, the network, training, compiling, the golden model."""
