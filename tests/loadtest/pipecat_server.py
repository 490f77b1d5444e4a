"""A real Pipecat agent that says back what it hears: ``python pipecat_server.py PORT``, with Pipecat's own Python.

Nothing of this project is imported. Pipecat's SmallWebRTC request handler and transport do the work; between them
is a pipeline with one step, which turns what comes in into what goes out.
"""

import asyncio
import sys

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.request_handler import SmallWebRTCRequest, SmallWebRTCRequestHandler
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

AUDIBLE = 300
app = FastAPI()
handler = SmallWebRTCRequestHandler()
tasks = set()


class Echo(FrameProcessor):
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            if np.abs(np.frombuffer(frame.audio, dtype=np.int16)).max() < AUDIBLE:
                return  # what is being written when a connection is rebuilt would make the output unusable
            frame = OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
        await self.push_frame(frame, direction)


async def converse(connection) -> None:
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    transport = SmallWebRTCTransport(webrtc_connection=connection, params=params)
    task = PipelineTask(Pipeline([transport.input(), Echo(), transport.output()]), params=PipelineParams())
    running = asyncio.ensure_future(PipelineRunner(handle_sigint=False).run(task))
    tasks.add(running)


@app.get("/count")
async def count() -> dict:
    return {"connections": len(handler._pcs_map)}


@app.post("/api/offer")
async def offer(request: Request) -> dict:
    return await handler.handle_web_request(SmallWebRTCRequest(**await request.json()), converse)


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
