"""Values in HTML and in Slack's markup: text, whatever they hold."""

import re
from html.parser import HTMLParser

import pytest

from server.domain.faults import Refused
from server.domain.markup import render_html, render_mrkdwn

HOSTILE = [
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "</p><img src=x onerror=alert(1)>",
    "&lt;b&gt; & {v}",
    "<!-- -->",
    "]]>",
    "javascript:alert(1)",
]


class Read(HTMLParser):
    """What a browser makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_in_html_is_text(value: str) -> None:
    template = """<p title="a {v}" class='{v}'>Error: {v}</p><a href="https://x.example/{v}">{{v}}</a>"""
    read = Read()
    read.feed(render_html(template, {"v": value}))
    read.close()
    assert read.tags == [
        ("p", [("title", f"a {value}"), ("class", value)]),
        ("a", [("href", f"https://x.example/{value}")]),
    ]
    assert read.text == f"Error: {value}{{v}}"


@pytest.mark.parametrize(
    ("template", "where"),
    [
        ("<script>{v}</script>", "in <script>"),
        ("<style>p {{}} {v}</style>", "in <style>"),
        ("<!-- {v} -->", "in a comment"),
        ("<p class={v}>", "in the tag p outside quotes"),
        ("<p {v}>", "in the tag p outside quotes"),
        ('<p {v}="x">', "in the tag p outside quotes"),
        ("<{v}>", ""),
        ("</{v}>", ""),
        ("<{v}", ""),
        ("&{v};", ""),
        ("&#{v};", ""),
        ('<a href="{v}">x</a>', "where the address in the attribute href begins"),
        ('<a href=" {v}">x</a>', "where the address in the attribute href begins"),
        ('<a href="&#1;{v}">x</a>', "where the address in the attribute href begins"),
        ('<a href="java{v}">x</a>', "where the address in the attribute href begins"),
        ('<a href="https://x.example{v}">x</a>', "where the address in the attribute href begins"),
        ('<a href="https://{v}/x">x</a>', "where the address in the attribute href begins"),
        ('<a href="/{v}">x</a>', "where the address in the attribute href begins"),
        ('<img srcset="https://x.example/{v} 2x">', "in the attribute srcset, which is code"),
        ('<meta http-equiv="refresh" content="0;url={v}">', "in the attribute content, which is code"),
        ('<p title= x="{v}">', "in the tag p outside quotes"),
        ('<img SRC="{v}">', "where the address in the attribute src begins"),
        ('<p onclick="f({v})">', "in the attribute onclick, which is code"),
        ('<p style="color: {v}">', "in the attribute style, which is code"),
        ('<iframe srcdoc="{v}">', "in the attribute srcdoc, which is code"),
        ('<p title="{v}', ""),
        ("<![CDATA[{v}]]>", ""),
        ("<!DOCTYPE {v}>", ""),
        ("<?php {v} ?>", ""),
        ("fine {v} <p class={v}>", "in the tag p outside quotes"),
    ],
)
def test_where_no_escaping_helps_nothing_stands(template: str, where: str) -> None:
    with pytest.raises(Refused, match=re.escape(f"a variable stands {where}")) as refused:
        render_html(template, {"v": "harmless"})
    assert [fault.reason for fault in refused.value.faults] == ["HTML_POSITION_NOT_ALLOWED"]


@pytest.mark.parametrize(
    "address",
    ["https://x.example/{v}", "HTTPS://x.example?q={v}", "mailto:{v}", "/runs/{v}", "#{v}", "?q={v}", " https://x/{v}"],
)
def test_an_address_that_leads_to_one_place_may_have_variables(address: str) -> None:
    template = f'<a class=x\n href = "{address}" download/>'
    assert render_html(template, {"v": "x"}) == template.replace("{v}", "x")


def test_html_without_variables_is_the_authors() -> None:
    html = "<style>p{color: red}</style><script>f({ a: 1 })</script><p onclick=f()>"
    assert render_html(html, {"v": "x", "color": "<"}) == html


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("acme_corp-gcp_cost", "acme_corp-gcp_cost"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("<https://evil.example|the bank>", "&lt;https://evil.example|the bank&gt;"),
        ("a & b", "a &amp; b"),
        ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
    ],
)
def test_a_value_in_mrkdwn_is_no_mention_and_no_link(value: str, rendered: str) -> None:
    assert render_mrkdwn("*Error:* {v} {{v}}", {"v": value}) == f"*Error:* {rendered} {{v}}"


@pytest.mark.parametrize("sign", "*_~`")
def test_a_value_in_mrkdwn_formats_nothing(sign: str) -> None:
    """Slack formats between two signs that stand beside a blank or the like."""
    rendered = render_mrkdwn("{v}", {"v": f"a {sign}loud{sign} word"})
    assert re.search(rf"(^|[\s\W]){re.escape(sign)}\w", rendered) is None
