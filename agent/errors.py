"""What a person has to mend before the agent can run."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable, its value and what would be right."""


class StartError(Exception):
    """Something outside is not as the settings say (its Redis, say); the message says what and what to do."""
