"""Operators on bits in BigQuery's order: `||`, shifts, `&`, `^`, `|`, each before the next.

The parser takes all of them for equals, from left to right.
"""

from sqlglot import exp

_RANK: dict[type[exp.Expr], int] = {
    exp.DPipe: 0,
    exp.BitwiseLeftShift: 1,
    exp.BitwiseRightShift: 1,
    exp.BitwiseAnd: 2,
    exp.BitwiseXor: 3,
    exp.BitwiseOr: 4,
}


def order_operators(tree: exp.Expr) -> None:
    """Rebuild every chain of such operators in place. What stands in parentheses is one operand."""
    chains = [node for node in tree.walk() if type(node) in _RANK and not _continues(node)]
    # Inner chains first: the outer ones take copies.
    for top in reversed(chains):
        if len({type(link) for link in _links(top)}) > 1:
            top.replace(_ordered(top))


def _continues(node: exp.Expr) -> bool:
    return type(node.parent) in _RANK and node.arg_key == "this"


def _links(top: exp.Expr) -> list[exp.Expr]:
    """The operators of a chain from left to right: each has the one before it as its left side."""
    found, node = [top], top.this
    while type(node) in _RANK:
        found.append(node)
        node = node.this
    return found[::-1]


def _ordered(top: exp.Expr) -> exp.Expr:
    links = _links(top)
    operands = [links[0].this, *(link.args["expression"] for link in links)]
    waiting: list[exp.Expr] = []
    done: list[exp.Expr] = [operands[0].copy()]
    for link, operand in zip(links, operands[1:], strict=True):
        while waiting and _RANK[type(waiting[-1])] <= _RANK[type(link)]:
            _join(waiting, done)
        waiting.append(link)
        done.append(operand.copy())
    while waiting:
        _join(waiting, done)
    return done[0]


def _join(waiting: list[exp.Expr], done: list[exp.Expr]) -> None:
    """Give the operator that waited last its two sides."""
    link, right, left = waiting.pop(), done.pop(), done.pop()
    sides = {"this": left, "expression": right}
    placed = {key: exp.Paren(this=side) if type(side) in _RANK else side for key, side in sides.items()}
    done.append(type(link)(**{**link.args, **placed}))
