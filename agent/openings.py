"""What every door that opens something asks first: has this address not asked too often?"""

from starlette.requests import Request

from agent.refusal import Refusal, address_of
from agent.running import Agent


async def check_openings(request: Request, agent: Agent) -> None:
    """Count one more from this address. Raises `Refusal`."""
    wait_s = await agent.limiter.opening_after_s(address_of(request))
    if wait_s is not None:
        message = f"at most {agent.settings.openings_per_address} sessions, secrets and calls a minute from one address"
        raise Refusal(429, "rate_limit_error", "rate_limit_exceeded", message, retry_after_s=wait_s)
