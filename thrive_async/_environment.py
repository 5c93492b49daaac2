"""Credentials from the environment, or from the files that it names."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from thrive_async.auth import DEFAULT_SCOPES, ApiKey, ClientCredentials, Secret, checked_secret
from thrive_async.errors import ConfigurationError

# The variable that each argument comes from.
VARIABLES: Final = {
    "tenant_id": "THRIVE_TENANT_ID",
    "region": "THRIVE_REGION",
    "base_url": "THRIVE_BASE_URL",
    "allow_http": "THRIVE_ALLOW_HTTP",
    "share": "THRIVE_SHARE",
    "client_id": "THRIVE_CLIENT_ID",
    "scopes": "THRIVE_SCOPES",
}

_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Environment:
    """Environment variables; its repr shows no value, since crash reporters print the variables of frames.

    Args:
        environ: Read instead of `os.environ`.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def text(self, name: str) -> str | None:
        """Return a variable's value; None if it is not set, or blank, as compose files leave it."""
        return self._environ.get(name, "").strip() or None

    def flag(self, name: str) -> bool:
        """Return whether a variable is true; false if it is not set.

        Raises:
            ConfigurationError: It is neither true nor false.
        """
        value = (self.text(name) or "false").lower()
        if value not in _FLAGS:
            raise ConfigurationError(f"{name} must be true or false")
        return _FLAGS[value]

    def credentials(self) -> ApiKey | ClientCredentials:
        """Return what `THRIVE_API_KEY`, or `THRIVE_CLIENT_ID` and `THRIVE_CLIENT_SECRET`, hold.

        `THRIVE_API_KEY_FILE` and `THRIVE_CLIENT_SECRET_FILE` name a file with the secret instead, and `THRIVE_SCOPES`
        may hold scopes, by spaces.

        Raises:
            ConfigurationError: A variable is missing, contradicts another or cannot work; the text names it.
        """
        key, secret = self._secret("THRIVE_API_KEY"), self._secret("THRIVE_CLIENT_SECRET")
        client_id = self.text("THRIVE_CLIENT_ID")
        if key is not None and (client_id is not None or secret is not None):
            others = [name for name in ("THRIVE_CLIENT_ID", self._named("THRIVE_CLIENT_SECRET")) if self.text(name)]
            raise ConfigurationError(
                "both an API key and a client id or secret are set: "
                f"unset {self._named('THRIVE_API_KEY')}, or {' and '.join(others)}"
            )
        if key is not None:
            return ApiKey(key)
        if client_id is None and secret is None:
            raise ConfigurationError(
                "no credentials: set THRIVE_API_KEY or THRIVE_API_KEY_FILE, or THRIVE_CLIENT_ID and "
                "THRIVE_CLIENT_SECRET (or THRIVE_CLIENT_SECRET_FILE)"
            )
        if client_id is None:
            raise ConfigurationError(f"{self._named('THRIVE_CLIENT_SECRET')} is set, but THRIVE_CLIENT_ID is not")
        if secret is None:
            raise ConfigurationError(
                "THRIVE_CLIENT_ID is set, but neither THRIVE_CLIENT_SECRET nor THRIVE_CLIENT_SECRET_FILE is"
            )
        try:
            return ClientCredentials(client_id, secret, self.text("THRIVE_SCOPES") or DEFAULT_SCOPES)
        except ConfigurationError as error:
            raise ConfigurationError(error.told(lambda name: VARIABLES.get(name, name))) from None

    def _named(self, name: str) -> str:
        """Return the variable that a secret comes from: its own, or the one that names its file."""
        return f"{name}_FILE" if self.text(f"{name}_FILE") else name

    def _secret(self, name: str) -> Secret | None:
        file = self.text(f"{name}_FILE")
        if file is None:
            return self._checked(name, self.text(name))
        if self.text(name) is not None:
            raise ConfigurationError(f"both {name} and {name}_FILE are set: unset one of them")
        try:
            return self._checked(f"{name}_FILE", Path(file).read_text(encoding="utf-8").strip())
        except OSError as error:
            why = error.strerror or type(error).__name__
        except UnicodeDecodeError:
            why = "it is not a text file"
        raise ConfigurationError(f"{name}_FILE: cannot read {file}: {why}")

    @staticmethod
    def _checked(name: str, value: str | None) -> Secret | None:
        if value is None:
            return None
        try:
            return checked_secret(value)
        except ConfigurationError as error:
            refusal = ConfigurationError(f"{name}: {error}")
        del value
        raise refusal


def set_up_log() -> None:
    """Print the SDK's log to stderr if `THRIVE_LOG` is `debug` or `info`, unless the application has a log of its own.

    Raises:
        ConfigurationError: `THRIVE_LOG` is something else.
    """
    wanted = os.environ.get("THRIVE_LOG", "").strip().lower()
    log = logging.getLogger("thrive_async")
    if not wanted or any(isinstance(handler, _ToStderr) for handler in log.handlers):
        return
    if wanted not in ("debug", "info"):
        raise ConfigurationError("THRIVE_LOG must be debug or info")
    log.setLevel(wanted.upper())
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log.addHandler(handler)


class _ToStderr(logging.StreamHandler[TextIO]):
    """Prints what no handler of the application's would print."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(lambda _record: not logging.getLogger().handlers)
