"""Impaired networks: a private internet in a cage, with real netem, and the proof that it bites.

Theory of operation
-------------------
`cage` runs a whole drill in namespaces that the kernel undoes whatever happens. Inside it, `lab` builds what a
`site` describes: callers behind a `nat` and a `firewall`, a router, a server; `uplink` gives everything its place,
`wiring` and `construction` make it. The router impairs what it sends on each of its legs. Its kernel is the host's
own where that has sch_netem (`kernel_router`), else a user-mode Linux (`uml_router`); `backend`
chooses by trying. What is asked of netem is made in `tc`, what the kernel answers is read in `readback`, and
`proof` compares an echo train (`echo`) with what a simulation (`prediction`) of the same queues allows, and
`short_form` trains sent one way.

Beside the lab, `asked` reads impairments from words and `lint` refuses what would lie; `feel` predicts a call; `verify`
sends `trains` over a `bare_leg` and has `judgement` compare them with an `expectation`; `attach` impairs a real
interface, `ownership` tells whose qdisc is whose, `watchdog` undoes it.
"""
