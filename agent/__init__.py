"""The voice agent stack under test, a program of its own.

Theory of operation
-------------------
One process, one event loop. A caller fetches a short-lived client secret, posts an SDP offer with it and gets an
answer, as the OpenAI Realtime API does; a data channel carries the events. `agent.call.LiveCall` joins a peer
with a session: the caller's audio is decoded and judged by voice activity, the end of speech makes a turn, the
brain gives a text, the voice gives its sound, and frames leave on the one 20 ms clock of the process. A session
outlives its call: an ICE restart or a new call with the session's id takes it up where it was, and it has one
living call at most.

The agent knows only `rtc`. Everybody else meets it over the network, so that any agent that speaks the same
protocol can stand in its place.
"""
