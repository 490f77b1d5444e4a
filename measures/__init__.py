"""The vocabulary of every room: clock, sample, distribution, metric, threshold, verdict, run.

Theory of operation
-------------------
Whatever one room tells another is a value defined here: frozen, slotted, with its unit in its name, and
raw time as integer nanoseconds of ``CLOCK_MONOTONIC`` (one clock for all processes of a machine). Nothing
here opens a socket, a file or a process, and nothing here imports another room, so a run folder written by
any room can be read, judged and drawn years later with this package alone.
"""
