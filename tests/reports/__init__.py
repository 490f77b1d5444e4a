"""Tests of the reports, on run folders built by the rig."""
