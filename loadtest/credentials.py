"""What a caller needs and no plan or record may hold."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """Secrets, kept out of every ``repr``. ``addresses`` limits the local addresses used."""

    api_key: str | None = field(repr=False)
    turn_username: str = ""
    turn_password: str = field(default="", repr=False)
    addresses: tuple[str, ...] = ()
