"""Probes of the network between a caller and its servers: STUN, TURN, STAMP.

Pure parts (`attributes`, `stun`, `framing`, `uri`, `turn`, `stamp`, `loss`, `diagnosis`, `nat`, `nat_pairs`) know no
socket and no clock; `transport`, `connect`, `leg`, `relay`, `reach`, `nat_probe` and `sampler`, `reflector`, `noise`
are the shell around them.

    probe_all   (`reach`)     does each STUN and TURN server work, over which transport, in which stages
    probe_nat   (`nat_probe`) how the NATs on the way behave, and whom one can call behind them
    sample      (`sampler`)   what the path does to an isochronous train of packets
    Reflector   (`reflector`) the far end of such a train
"""
