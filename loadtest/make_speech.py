"""Makes the callers' speech: ``python -m loadtest.make_speech``. Run by hand when a sentence changes.

Real speech, since a recogniser does not listen to tones: espeak-ng voices, silence cut off at both ends so that a
clip's last frame holds the last sound, Opus at 24 kbit/s. The results are kept in ``loadtest/speech``, and the same
frames at 12 kbit/s, for bad connections, in ``loadtest/speech/12k``.
"""

import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np

from rtc.opus import FRAME_SAMPLES, SAMPLE_RATE, Pcm, encode, read_audio, write_frames

FOLDER = Path(__file__).parent / "speech"
SOUND_THRESHOLD = 300
REDUCED_KBIT = 12

SENTENCES = {
    "order": ("en-us", "Hello, I would like to know when my order arrives."),
    "change": ("en-gb", "Can you change the delivery to Friday afternoon?"),
    "thanks": ("en-us+f3", "Thank you. Is there anything else I should know?"),
    "pedido": ("es", "Buenas tardes, quiero saber dónde está mi pedido."),
}


def make(name: str) -> Path:
    """Synthesise one sentence into ``speech/NAME.opus``."""
    voice, text = SENTENCES[name]
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "165", "-w", str(wav), text], check=True)
        pcm = read_audio(wav)
    loud = np.flatnonzero(np.abs(pcm) > SOUND_THRESHOLD)
    start = int(loud[0]) // FRAME_SAMPLES * FRAME_SAMPLES
    speech = pcm[start : int(loud[-1]) + 1]
    path = FOLDER / f"{name}.opus"
    write_frames(path, encode(speech))
    write_frames(FOLDER / f"{REDUCED_KBIT}k" / path.name, encode_reduced(speech))
    return path


def encode_reduced(pcm: Pcm) -> tuple[bytes, ...]:
    """As `rtc.opus.encode` does it, at half the bit rate."""
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = SAMPLE_RATE, "mono", "s16"
    codec.bit_rate = REDUCED_KBIT * 1000
    codec.options = {"frame_duration": "20", "application": "voip", "vbr": "on"}
    padded = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))
    frames: list[bytes] = []
    for start in range(0, len(padded), FRAME_SAMPLES):
        frame = av.AudioFrame.from_ndarray(padded[start : start + FRAME_SAMPLES].reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        frames.extend(bytes(packet) for packet in codec.encode(frame))
    return tuple(frames)


if __name__ == "__main__":
    for sentence in SENTENCES:
        make(sentence)
