"""Tests of the room netem."""
