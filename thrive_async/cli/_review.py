"""A page to approve or reject a plan, served on this machine alone until somebody has decided."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from thrive_async.cli._approval import Approval, approval_path, read_approval
from thrive_async.cli._errors import CliError
from thrive_async.cli._page.content import Content
from thrive_async.cli._page.render import html, policy, thanks
from thrive_async.cli._plan_views import read_plan

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["review"]

_HOST = "127.0.0.1"
_LONGEST = 64 * 1024
_OVER = "this review is over"


async def review(file: str, text: bytes, content: Content, *, who: str, told: Callable[[str], None]) -> Approval:
    """Serve the page of a plan until somebody approves or rejects it.

    Only requests to 127.0.0.1 with the token are answered. Another user of this machine does not know the token; a
    page of another site in your browser has another origin and, if its name leads to 127.0.0.1, another host.

    Args:
        file: The plan's file.
        text: Its bytes, as they were read for the page. If the file changes meanwhile, no decision is accepted.
        content: What the page says.
        who: Who is probably deciding.
        told: Gets the address of the page.

    Returns:
        The decision, which is written beside the plan.

    Raises:
        CliError: The approval beside the plan cannot be written.
    """
    from aiohttp import web  # noqa: PLC0415 - after the parsing

    server = _Review(file, text, content, who)
    app = web.Application(client_max_size=_LONGEST, middlewares=[server.guarded])
    app.router.add_get("/{token}/", server.show)
    app.router.add_post("/{token}/decision", server.decide)
    # Without a log of requests: their paths hold the token.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, 0).start()
        server.host = f"{_HOST}:{runner.addresses[0][1]}"
        told(f"http://{server.host}/{server.token}/")
        return await server.decided
    finally:
        await runner.cleanup()


class _Review:
    """The requests of one review."""

    def __init__(self, file: str, text: bytes, content: Content, who: str) -> None:
        self.token = secrets.token_urlsafe(32)
        self.host = ""
        self.decided: asyncio.Future[Approval] = asyncio.get_running_loop().create_future()
        self._file = file
        self._text = text
        self._content = content
        self._who = who

    @property
    def guarded(self) -> Any:
        """The middleware that lets only this review's own requests in."""
        from aiohttp import web  # noqa: PLC0415 - after the parsing

        @web.middleware
        async def guarded(request: web.Request, handler: Any) -> web.StreamResponse:
            token = request.match_info.get("token", "")
            if request.headers.getall("Host", []) != [self.host]:
                return _plain("this address is not the review's", 421)
            if not hmac.compare_digest(token.encode(), self.token.encode()):
                return _plain("no such page", 404)
            if request.method != "GET" and request.headers.getall("Origin", []) != [f"http://{self.host}"]:
                return _plain("this request came from another page", 403)
            if self.decided.done():
                return _plain(_OVER, 410)
            return cast("web.StreamResponse", await handler(request))

        return guarded

    async def show(self, _request: web.Request) -> web.Response:
        """Answer with the page."""
        return self._page()

    async def decide(self, request: web.Request) -> web.Response:
        """Write the decision of the form, and end the review."""
        form = await request.post()
        if self.decided.done():
            return _plain(_OVER, 410)
        who, reason, decision = (str(form.get(name, "")).strip() for name in ("who", "reason", "decision"))
        if decision not in ("approved", "rejected"):
            return self._page("Approve or reject the plan.", who, reason, status=400)
        if not who:
            return self._page("Say who you are.", who, reason, status=400)
        if decision == "rejected" and not reason:
            return self._page("Say why you reject the plan.", who, reason, status=400)
        try:
            unchanged = read_plan(self._file) == self._text
        except CliError:
            unchanged = False
        if not unchanged:
            problem = "The plan's file was changed while you looked at it. Nothing was written: start the review again."
            return self._page(problem, who, reason, status=409)
        approval = Approval(
            plan=hashlib.sha256(self._text).hexdigest(),
            decision="approved" if decision == "approved" else "rejected",
            who=who,
            reason=reason,
            when=datetime.now(UTC),
        )
        try:
            approval.save(approval_path(self._file))
        except (OSError, CliError) as error:
            return self._page(f"The decision cannot be written: {error}", who, reason, status=500)
        self.decided.set_result(approval)
        return _html(thanks(f"You {decision} this plan. You can close this page."))

    def _page(self, problem: str = "", who: str | None = None, reason: str = "", *, status: int = 200) -> web.Response:
        try:
            before = read_approval(self._file)
        except CliError:
            before = None
        form = {
            "problem": problem,
            "who": self._who if who is None else who,
            "reason": reason,
            "before": "" if before is None else f"This file was {before}.",
        }
        return _html(html(self._content, review=form), status)


def _headers() -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"{policy(form=True)}; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def _html(page: str, status: int = 200) -> web.Response:
    from aiohttp import web  # noqa: PLC0415 - after the parsing

    body = page.encode("utf-8", errors="backslashreplace")
    return web.Response(status=status, body=body, content_type="text/html", charset="utf-8", headers=_headers())


def _plain(text: str, status: int) -> web.Response:
    from aiohttp import web  # noqa: PLC0415 - after the parsing

    return web.Response(status=status, text=text, headers=_headers())
