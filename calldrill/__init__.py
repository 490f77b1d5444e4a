"""The face: command line, drill files, the conductor that runs a drill, doctor.

Theory of operation
-------------------
``calldrill run`` reads a drill file and starts two processes' worth of work. The *supervisor* stays outside: it
makes the run folder, starts the cage, passes signals on, and when the cage is gone, however that came about, it
judges the folder and writes the reports. The *conductor* works inside the cage: it builds the lab, starts the
services, proves the impairment, probes, samples, lets Locust place the calls while the timeline runs, and writes
nothing but records. So a run that was killed is judged by the same code, from what it left.
"""
