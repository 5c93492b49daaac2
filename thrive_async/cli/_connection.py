"""The connection of a command: the client that the environment and the options describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from thrive_async.cli._errors import CliError

if TYPE_CHECKING:
    from thrive_async import ThriveClient

__all__ = ["CONNECTION", "Connection"]

CONNECTION = Group(
    "Connection",
    help="The key and the secret come from the environment or from a file that it names, never from an option: "
    "THRIVE_API_KEY or THRIVE_API_KEY_FILE; or THRIVE_CLIENT_ID with THRIVE_CLIENT_SECRET or "
    "THRIVE_CLIENT_SECRET_FILE.",
    sort_key=90,
)


@Parameter(name="*", group=CONNECTION)
@dataclass(frozen=True, kw_only=True)
class Connection:
    """Which Thrive to ask, and how fast."""

    tenant_id: Annotated[str | None, Parameter(env_var="THRIVE_TENANT_ID")] = None
    """The tenant, as in eu-west-2_AbcdEfghI."""
    region: Annotated[str | None, Parameter(env_var="THRIVE_REGION")] = None
    """production (the default), staging, production-mea or staging-mea."""
    base_url: Annotated[str | None, Parameter(env_var="THRIVE_BASE_URL")] = None
    """A host to use instead of the region's, such as the sandbox's http://127.0.0.1:8080."""
    rate: float | None = None
    """Requests per second; by default as many as Thrive allows."""
    concurrency: int | None = None
    """Requests at the same time (default 10)."""
    per_page: int | None = None
    """Items per page of every list; by default as many as Thrive documents: 1000, or 100."""
    timeout: float | None = None
    """Seconds for one call with all its attempts and pauses (default 120)."""
    attempts: int | None = None
    """Attempts per call (default 5)."""

    def client(self) -> ThriveClient:
        """Return the client; nothing is sent.

        Raises:
            CliError: The environment lacks something.
            ConfigurationError: Something in it cannot work.
        """
        from thrive_async import Limits, Retry, ThriveClient, Timeouts  # noqa: PLC0415 - after the parsing

        if self.tenant_id is None:
            raise CliError(
                "no tenant: set THRIVE_TENANT_ID (and THRIVE_API_KEY), or try `thrive demo`, which needs neither"
            )
        if not self.tenant_id.strip():
            raise CliError("THRIVE_TENANT_ID (or --tenant-id) is empty: Thrive issues it, as in eu-west-2_AbcdEfghI")
        limits: dict[str, Any] = {"rate": self.rate, "concurrency": self.concurrency, "per_page": self.per_page}
        timeouts: dict[str, Any] = {}
        if self.timeout is not None:
            # An attempt cannot take longer than its call.
            timeouts = {"total": self.timeout, "attempt": min(Timeouts().attempt or self.timeout, self.timeout)}
        texts = {"tenant_id": self.tenant_id, "region": self.region, "base_url": self.base_url}
        settings: dict[str, Any] = {name: text for name, text in texts.items() if text and text.strip()}
        return ThriveClient.from_env(
            **settings,
            timeouts=Timeouts(**timeouts),
            retry=Retry() if self.attempts is None else Retry(max_attempts=self.attempts),
            limits=Limits(**{name: value for name, value in limits.items() if value is not None}),
        )
