"""From a run folder to a page, JUnit, Markdown and plots, at once or years later.

Theory of operation
-------------------
A run folder holds ``run.json`` and ``samples.jsonl``; nothing else is needed and nothing else is read.
`folder` and `stream` read it, `trains` keeps packets as
columns, `harvest` sorts the records by kind, `observations` turns them into figures by the
definitions in `measures.metric`, `judge` gives the verdicts, `views` says it in rows for people, and `page`,
`junit` and `summary` write it down. `finish` does all of it. Everything between the first read and the last
write is a function of its arguments, so making the reports again gives the same bytes.

What is missing is shown as missing: a dash with a reason, never a zero.
"""
