"""What a person has to mend before the agent can run."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable, its value and what would be right."""
