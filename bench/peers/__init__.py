"""Peers: other people's software doing the same, each in its idiomatic setup, with the few lines it takes."""
