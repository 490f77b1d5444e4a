"""Probes of the network between a caller and its servers: STUN, TURN, STAMP.

Pure parts (`attributes`, `stun`, `framing`, `uri`, `turn`, `stamp`, `loss`, `diagnosis`) know no socket and no clock;
`transport`, `connect`, `leg`, `relay`, `reach` and `sampler`, `reflector`, `noise` are the shell around them.

    probe_all   (`reach`)     does each STUN and TURN server work, over which transport, in which stages
    sample      (`sampler`)   what the path does to an isochronous train of packets
    Reflector   (`reflector`) the far end of such a train
"""
