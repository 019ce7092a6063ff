"""Headers of every answer: nothing from another host, nothing guessed, nothing framed."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval' {scripts}",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "media-src": "blob:",
    "connect-src": "'self' blob: data:",
    "worker-src": "'self' blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


class SecurityHeaders:
    """Adds the headers to every answer of an application.

    Args:
        app: the application.
        scripts: sources of inline scripts that are allowed, as the policy writes them ('sha256-…').
    """

    def __init__(self, app: ASGIApp, scripts: str = "") -> None:
        policy = "; ".join(f"{name} {value}" for name, value in _POLICY.items())
        self.app = app
        self.headers = {
            "Content-Security-Policy": policy.format(scripts=scripts).strip(),
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and add the headers when its answer starts."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
