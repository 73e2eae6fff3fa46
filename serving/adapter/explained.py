"""What to do about each kind of problem: the pages that problem documents link to."""

import re
from html import escape

# kind -> title, what happened, what to do.
KINDS: dict[str, tuple[str, str, str]] = {
    "bad-request": (
        "The request is malformed",
        "The request can't be read as what its headers say that it is, or asks for two things at once.",
        "Read the detail: it says what was expected. /docs shows each request, and lets you try it.",
    ),
    "bad-image": (
        "The image can't be read",
        "The bytes are not a complete PNG or JPEG, or the pixels have another shape than the model takes.",
        "Open the file on your machine. If it opens, save it again as PNG; if not, get it again: it was cut off.",
    ),
    "unsupported-format": (
        "The format is not supported",
        "The picture, or the body of the request, has a format that this adapter does not read.",
        "Send PNG or JPEG: as the body itself, in a form, or as base64 in JSON; compressed by gzip, or not at all.",
    ),
    "image-too-large": (
        "The image is too large",
        "It has more pixels, or more parts, than are decoded.",
        "Make it smaller. The model sees a few hundred pixels a side, whatever you send.",
    ),
    "request-too-large": (
        "The request is too large",
        "It has more bytes or more images than are accepted at once.",
        "Send several requests. Trying the same one again changes nothing.",
    ),
    "headers-too-large": (
        "The headers are too large",
        "The request has more headers, or more bytes in them, than are accepted.",
        "Send what is large in the body. A browser may hold too many cookies for this address: delete them.",
    ),
    "request-timeout": (
        "The request took too long to arrive",
        "Its headers or its body came too slowly, or stopped coming.",
        "Look at the network between you and the adapter, then try again; send smaller images over a slow one.",
    ),
    "unauthenticated": (
        "The caller is not known",
        "This adapter answers only callers that show a token or a certificate that it knows.",
        "Send the header Authorization: Bearer TOKEN. The adapter's operator gives out tokens.",
    ),
    "forbidden-origin": (
        "This site may not call the adapter",
        "A page of another site sent the request from your browser.",
        "The adapter's operator allows sites by --allowed-origin.",
    ),
    "wrong-host": (
        "The adapter has another host name",
        "The request names a host that this adapter does not answer for.",
        "Ask it by its own name. The adapter's operator adds names by --allowed-host.",
    ),
    "unknown-model": (
        "The model is not being served",
        "Another model is served at this address.",
        "Leave the name out, or ask the address of that model. GET /v1/model tells what is served here.",
    ),
    "unknown-version": (
        "The version is not being served",
        "The version or label was never promoted, or has been taken away.",
        "Leave it out to get the stable one. GET /v1/model lists those that there are.",
    ),
    "overloaded": (
        "Too many requests at once",
        "Everything that this adapter can work on is taken.",
        "Wait as long as Retry-After says, and send the same request again. Send fewer at once if it happens often.",
    ),
    "rate-limited": (
        "Too many images a second",
        "You have asked for more images than one caller may in this time.",
        "Wait as long as Retry-After says. The adapter's operator sets the rate.",
    ),
    "explanation-busy": (
        "No explanation can be made now",
        "One explanation is made at a time, while nothing is being classified; now something is.",
        "Wait as long as Retry-After says, and ask again. If it stays so, the adapter is too busy for explanations.",
    ),
    "explanations-off": (
        "No explanations are made here",
        "This adapter classifies, and does not explain: an explanation costs the model as much as 65 answers.",
        "The adapter's operator switches explanations on by --explain.",
    ),
    "unavailable": (
        "The model is not available",
        "The model server is starting, being replaced or gone, or this adapter is shutting down.",
        "Wait as long as Retry-After says, and send the same request again: nothing of it was done.",
    ),
    "deadline-exceeded": (
        "The answer took too long",
        "The model did not answer within the time that a request has.",
        "Try again; send fewer or smaller images at once. If that does not help, tell the adapter's operator.",
    ),
    "fault": (
        "The adapter failed",
        "That is a mistake of the adapter's or of the model's, not of your request.",
        "Tell the adapter's operator when it happened: its log holds the details.",
    ),
}
PREFIX = "/problems/"
_FLAG = re.compile(r"--[a-z][a-z-]*[a-z]")


def page(kind: str) -> str | None:
    """The page about problems of `kind`; None if there is none such."""
    if kind not in KINDS:
        return None
    title, what, advice = map(escape, KINDS[kind])
    # A flag stays on one line.
    advice = _FLAG.sub(r"<code>\g<0></code>", advice)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n"
        '<link rel="icon" href="/page/icon.svg" type="image/svg+xml">\n'
        '<link rel="stylesheet" href="/page/page.css">\n'
        f"<main>\n<h1>{title}</h1>\n<p>{what}</p>\n<h2>What to do</h2>\n<p>{advice}</p>\n"
        f'<p class="hint">Programs know it as urn:trainyard:problem:{kind}.</p>\n</main>\n'
        '<footer><p><a href="/">Classify images</a> · <a href="/docs">REST interface</a></p></footer>\n</html>\n'
    )
