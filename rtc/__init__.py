"""A WebRTC peer that restarts ICE, sees outages and costs little.

Theory of operation
-------------------
DTLS, SRTP and SCTP are aiortc's, ICE is aioice's; what lies between them is ours:

* `rtc.path`: one generation of ICE. A restart is a second path put under the living DTLS association, so
  SSRCs, SRTP state and the data channel survive (RFC 8445 section 2.4, RFC 8842 section 5).
* `rtc.servers`: STUN and TURN servers, several of each, tried in order with failover.
* `rtc.identity`: what DTLS derives from a certificate, derived once for all calls.
* `rtc.association`: DTLS, the SRTP keys and the data channel, under whatever path is selected.
* `rtc.audio`, `rtc.codec`, `rtc.g711`, `rtc.opus`: the two RTP streams and what they carry.
* `rtc.peer`: joins these into one end of a call; its state is a table in `rtc.liveness`.
* `rtc.frame_clock`: one 20 ms clock for all calls of a process; nothing is encoded or decoded per packet.
* `rtc.rtp`, `rtc.rtcp`, `rtc.speech`: what is measured, read from headers and sizes at arrival.
"""
