"""Which models the stages use: by key a paid one, else the built-in one.

A key is given in the environment or in a file that only the agent can read, never on a command line, and stays in this
process: it is shown in no ``repr``, no event and no log. A key alone chooses its service; a choice can also be made by
name, and one whose key or package is missing is an error at the start, not in the middle of a call.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.brain import ScriptedBrain
from agent.conversation import Stages
from agent.detector import SpeechDetector
from agent.errors import SettingsError
from agent.espeak import Espeak
from agent.playout import FRAME_MS
from agent.recogniser import HearsSpeechOnly, SphinxRecogniser
from agent.services import Access
from agent.stages import Brain, Recogniser, Synthesiser
from agent.voice import Voice
from rtc.speech import ActivityConfig

PREFIX = "CALLDRILL_AGENT_"


@dataclass(frozen=True, slots=True)
class Service:
    """A paid service: which stage it serves, its client's package, the model it is asked for by default."""

    stage: str
    package: str
    model: str
    voice: str = ""


SERVICES: dict[str, Service] = {
    "anthropic": Service("brain", "anthropic", "claude-haiku-4-5"),
    "openai": Service("brain", "openai", "gpt-4.1-mini"),
    "cartesia": Service("voice", "cartesia", "sonic-3", "a0e99841-438c-4a64-b679-ae501e7d6091"),
    "deepgram": Service("recogniser", "deepgram", "nova-3"),
}
# ``auto`` is sphinx where its package is, else none
BUILT_IN: dict[str, tuple[str, ...]] = {
    "brain": ("scripted",), "voice": ("espeak",), "recogniser": ("auto", "sphinx", "none"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """The model of each stage by name, and the access to those that take one."""

    brain: str = "scripted"
    voice: str = "espeak"
    recogniser: str = "auto"
    access: Mapping[str, Access] = field(default_factory=dict)


ACCESS_NAMES = {
    "API_KEY": "its key; chooses it", "API_KEY_FILE": "a file with its key", "MODEL": "its model",
    "VOICE": "its voice", "BASE_URL": "another address of it",
}  # fmt: skip


def variable_names() -> frozenset[str]:
    """The variables that `choose` reads, without their prefix."""
    access = {f"{name}_{what}".upper() for name in SERVICES for what in ACCESS_NAMES}
    return frozenset(access | {stage.upper() for stage in BUILT_IN})


def choose(env: Mapping[str, str]) -> Choice:
    """The choice that the environment makes. Raises `SettingsError`."""
    access = {name: found for name in SERVICES if (found := _access(env, name)) is not None}
    chosen: dict[str, str] = {}
    for stage, built_in in BUILT_IN.items():
        offered = (*built_in, *(name for name, service in SERVICES.items() if service.stage == stage))
        by_key = next((name for name in access if SERVICES[name].stage == stage), built_in[0])
        name = env.get(f"{PREFIX}{stage.upper()}") or by_key
        if name not in offered:
            raise SettingsError(f"{PREFIX}{stage.upper()}={name!r} is no {stage}; give one of {', '.join(offered)}")
        _check(stage, name, access)
        chosen[stage] = name
    return Choice(**chosen, access=access)


def _access(env: Mapping[str, str], name: str) -> Access | None:
    """The access to a service, if there is a key."""
    variable = f"{PREFIX}{name.upper()}"
    key, path = env.get(f"{variable}_API_KEY", ""), env.get(f"{variable}_API_KEY_FILE", "")
    if not key and path:
        try:
            key = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable}_API_KEY_FILE={path!r} cannot be read: {error}") from None
        if not key:
            raise SettingsError(f"{variable}_API_KEY_FILE={path!r} is empty; put the key in it")
    if not key:
        return None
    service = SERVICES[name]
    model, voice = env.get(f"{variable}_MODEL") or service.model, env.get(f"{variable}_VOICE") or service.voice
    return Access(key, env.get(f"{variable}_BASE_URL", ""), model, voice)


def _check(stage: str, name: str, access: Mapping[str, Access]) -> None:
    package = SERVICES[name].package if name in SERVICES else "pocketsphinx" if name == "sphinx" else ""
    if name in SERVICES and name not in access:
        variable = f"{PREFIX}{name.upper()}_API_KEY"
        raise SettingsError(f"{PREFIX}{stage.upper()}={name} needs a key; set {variable} or {variable}_FILE")
    if package and importlib.util.find_spec(package) is None:
        raise SettingsError(f"{PREFIX}{stage.upper()}={name} needs the package {package}; install 'calldrill[models]'")


def build(choice: Choice, voice: str, pause_ms: int) -> Stages:
    """The stages as chosen. ``voice`` is the built-in one's default."""
    speech = Voice(_synthesiser(choice, voice))
    activity = ActivityConfig(hangover_frames=max(1, pause_ms // FRAME_MS))
    return Stages(_recogniser(choice), _brain(choice), speech, lambda: SpeechDetector(activity))


def _brain(choice: Choice) -> Brain:
    if choice.brain == "anthropic":
        from agent.model_anthropic import AnthropicBrain  # noqa: PLC0415  here and below: not everybody has it

        return AnthropicBrain(choice.access["anthropic"])
    if choice.brain == "openai":
        from agent.model_openai import OpenAiBrain  # noqa: PLC0415

        return OpenAiBrain(choice.access["openai"])
    return ScriptedBrain()


def _synthesiser(choice: Choice, voice: str) -> Synthesiser:
    if choice.voice == "cartesia":
        from agent.model_cartesia import CartesiaVoice  # noqa: PLC0415

        return CartesiaVoice(choice.access["cartesia"])
    return Espeak(voice)


def _recogniser(choice: Choice) -> Recogniser:
    if choice.recogniser == "deepgram":
        from agent.model_deepgram import DeepgramRecogniser  # noqa: PLC0415

        return DeepgramRecogniser(choice.access["deepgram"])
    if choice.recogniser == "sphinx" or (choice.recogniser == "auto" and SphinxRecogniser.is_installed()):
        return SphinxRecogniser()
    return HearsSpeechOnly()
