"""Tests, mirroring every room; rigs and real peers beside them."""
