"""Variables in HTML and in Slack's mrkdwn: a value is text there, whatever it holds, and never markup.

Values come from anywhere, error messages of other people's systems included. In HTML a variable may stand in text and
in a quoted attribute, and is escaped for both. No escaping makes it safe elsewhere, so that it is refused there: in the
names of tags and attributes, in comments, `<script>` and `<style>`, in attributes that hold code, and where an address
begins, up to the end of its host: `javascript:` is one.
"""

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser

from server.domain.faults import Refused, refuse
from server.domain.variables import PLACEHOLDER, render_text

# Stands for each variable: a word, since that is what could make a tag of what follows a `<`.
_HOLE = "convergencehole0"
# What the value would be a part of: a tag or an entity.
_BEGUN = re.compile(rf"(?:</?|&#?)(?={_HOLE})")
_ADDRESSES = {"href", "src", "action", "formaction", "background", "cite", "poster", "data", "xlink:href"}
# What decides where an address leads to, in front of the first variable: a host and what ends it, or none at all.
_LEADS = re.compile(rf"(?i)\s*(?:https?://[^/?#\\]+[/?#]|mailto:|/(?![/\\]|{_HOLE})|[?#])")
# The last two hold addresses in a text of their own.
_CODE = re.compile(r"on.*|style|srcdoc|srcset|content")
_QUOTED = re.compile(r"=\s*(?:\"[^\"]*\"|'[^']*')")
# As everybody reads it: `a= b="c"` is an attribute without quotes.
_TAG = re.compile(rf"<[^\s/>]+(?:\s+[^\s\"'<>/=]+(?:\s*{_QUOTED.pattern}|\s*=\s*[^\s\"'=<>`]+)?)*\s*/?>")
# Slack takes these for formatting beside what is no letter or digit: not within acme_corp.
_FORMATTING = re.compile(r"(?<!\w)[*_~`]|[*_~`](?!\w)")
_WORD_JOINER = "\u2060"


def render_html(template: str, values: Mapping[str, str]) -> str:
    """Fill in the variables of HTML, escaped.

    Raises:
        Refused: HTML_POSITION_NOT_ALLOWED.
    """
    places = _Places()
    text = PLACEHOLDER.sub(lambda match: _HOLE if match["name"] else "x", template)
    places.feed(text)
    # What is left is a tag without an end; what follows would become a part of it.
    is_whole = _HOLE not in places.rawdata and not _BEGUN.search(text)
    places.close()
    if not is_whole or places.safe != text.count(_HOLE):
        raise _not_allowed(places.problem)
    return render_text(template, {name: html.escape(value) for name, value in values.items()})


def render_mrkdwn(template: str, values: Mapping[str, str]) -> str:
    """Fill in the variables of mrkdwn: no value is a mention, a link or formatting.

    Source: https://docs.slack.dev/messaging/formatting-message-text/#escaping; formatting has no escape, but none
    begins or ends beside an invisible character that belongs to the word.
    """
    return render_text(template, {name: _escape_mrkdwn(value) for name, value in values.items()})


def _escape_mrkdwn(value: str) -> str:
    kept = html.escape(value, quote=False)
    return _FORMATTING.sub(lambda match: f"{_WORD_JOINER}{match[0]}{_WORD_JOINER}", kept)


def _not_allowed(problem: str) -> Refused:
    where = problem or "within a tag or an entity"
    return refuse("HTML_POSITION_NOT_ALLOWED", f"a variable stands {where}; put it into text or a quoted attribute")


def _leads(address: str) -> bool:
    """Whether an address leads to one place, whatever its variables are."""
    found = _LEADS.match(address)
    return found is not None and _HOLE not in found[0]


class _Places(HTMLParser):
    """Counts the variables that stand where a value can do no harm."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.safe = 0
        self.problem = ""
        """Where one of the others stands."""

    def handle_data(self, data: str) -> None:
        """Text, or what is inside of <script> and <style>."""
        if self.cdata_elem is None:
            self.safe += data.count(_HOLE)
        elif _HOLE in data:
            self.problem = f"in <{self.cdata_elem}>"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag with its attributes."""
        text = self.get_starttag_text() or ""
        if _HOLE in text and (_HOLE in _QUOTED.sub("", text) or not _TAG.fullmatch(text)):
            self.problem = f"in the tag {tag.partition(_HOLE)[0]} outside quotes"
            return
        for name, value in attrs:
            if _HOLE not in (value or ""):
                continue
            if _CODE.fullmatch(name):
                self.problem = f"in the attribute {name}, which is code"
            elif name in _ADDRESSES and not _leads(value or ""):
                self.problem = f"where the address in the attribute {name} begins, which could then be any"
            else:
                self.safe += (value or "").count(_HOLE)

    def handle_comment(self, data: str) -> None:
        """A comment."""
        if _HOLE in data:
            self.problem = "in a comment"
