"""Inputs that have made parsers slow: of any size asked for, each one thing repeated."""

from collections.abc import Callable


def _repeat(part: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: before + part * ((size - len(before) - len(after)) // len(part)) + after


def _number(start: bytes, between: bytes, end: bytes) -> Callable[[int], bytes]:
    """Members that are all different."""
    return lambda size: start + between.join(b'"%08d":%d' % (n, n) for n in range(size // 24)) + end


SHAPES: dict[str, Callable[[int], bytes]] = {
    "objects that end nowhere": _repeat(b'{"a":'),
    "lists that end nowhere": _repeat(b"["),
    "a member of lists": lambda size: b'{"a":' + b"[" * (size // 2) + b"]" * (size // 2) + b"}",
    "brackets in a text": _repeat(b"[{", b'{"a":"', b'"}'),
    "shallow objects": _repeat(b'{"a":{"b":{}}},', b'{"a":[', b"{}]}"),
    "many keys": _number(b"{", b",", b"}"),
    "one key": _repeat(b'"a":1,', b"{", b'"b":1}'),
    "one key in many objects": _repeat(b'{"a":1,"a":1},', b'{"x":[', b"{}]}"),
    "one long whole number": _repeat(b"9", b'{"amount":', b"}"),
    "whole numbers of 4,300 digits": _repeat(b"9" * 4300 + b",", b'{"a":[', b"1]}"),
    "fractions of 4,300 digits": _repeat(b"0." + b"9" * 4300 + b",", b'{"a":[', b"1]}"),
    "one long fraction": _repeat(b"9", b'{"amount":0.', b"}"),
    "exponents": _repeat(b"1e999999,", b'{"a":[', b"1]}"),
    "NaN": _repeat(b"NaN,", b'{"a":[', b"1]}"),
    "digits nearly of cards": _repeat(b"4242424242424241 ", b'{"a":"', b'"}'),
    "digits of cards": _repeat(b"4242424242424242,", b'{"a":"', b'"}'),
    "digits and blanks": _repeat(b"4 2 ", b'{"a":"', b'"}'),
    "digits and dashes": _repeat(b"6-", b'{"a":"', b'"}'),
    "blanks": _repeat(b" "),
    "blanks between tokens": _repeat(b' \t\r\n1 ,', b'{"a":[', b"1]}"),
    "blanks in a text": _repeat(b" ", b'{"id":"', b'"}'),
    "escaped NUL": _repeat(b"\\u0000", b'{"a":"', b'"}'),
    "lone surrogates": _repeat(b"\\ud800", b'{"a":"', b'"}'),
    "surrogate pairs": _repeat(b"\\ud83d\\ude00", b'{"a":"', b'"}'),
    "backslashes": _repeat(b"\\\\", b'{"a":"', b'"}'),
    "backslashes without end": _repeat(b"\\", b'{"a":"'),
    "quotes": _repeat(b'"'),
    "texts": _repeat(b'"",', b"[", b'""]'),
    "NUL": _repeat(b"\0"),
    "bytes of no encoding": _repeat(b"\xff"),
    "wide letters": _repeat("😀".encode(), b'{"a":"', b'"}'),
    "a long token": _repeat(b"eyJh", b'{"data":"', b'"}'),
    "a token of dots": _repeat(b"a.", b'{"data":"', b'a"}'),
    "long base64": _repeat(b"QUJD", b"Basic "),
    "payloads": _repeat(b'"payload":{},', b"{", b'"payload":{}}'),
    "a payload inside payloads": _repeat(b'{"payload":', b'{"payload":'),
    "a wide payload": _repeat(b'"\\u00f1",', b'{"payload":{"a":[', b'""]}}'),
    "secrets of cards": _repeat(b'"cvv":"1",', b"{", b'"pan":"4242424242424242"}'),
    "items": _repeat(b'{"NotificationRequestItem":{}},', b'{"notificationItems":[', b"{}]}"),
    "commas": _repeat(b","),
    "signatures": _repeat(b",v1=00", b"t=1"),
    "times": _repeat(b"t=1,", b"", b"v1=00"),
    "parts": _repeat(b"ts=1;\x1e"),
    "headers": _repeat(b"a: b\r\n", b"POST /webhooks/stripe HTTP/1.1\r\n"),
    "one long header": _repeat(b"a", b"POST /webhooks/stripe HTTP/1.1\r\na: "),
    "one long target": _repeat(b"%41", b"POST /webhooks/"),
    "requests": _repeat(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
    "chunks of one byte": _repeat(b"1\r\nx\r\n", b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"),
    "line ends": _repeat(b"\r\n"),
    "addresses": _repeat(b"203.0.113.7, ", b"203.0.113.7\n"),
    "a long name": _repeat(b"a.", b"https://"),
    "a name of wide letters": _repeat("ñ".encode(), b"https://"),
    "entities of entities": lambda size: (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "x">'
        + b"".join(b'<!ENTITY a%d "&a%d;&a%d;">' % (n, n - 1, n - 1) for n in range(1, size // 30))
        + b"]><SPEI_Tercero>&a30;</SPEI_Tercero>"
    ),
    "elements": _repeat(b"<Beneficiario>", b"<SPEI_Tercero>"),
    "attributes": lambda size: b"<SPEI_Tercero " + b" ".join(b'a%d=""' % n for n in range(size // 12)) + b"/>",
    "entities of letters": _repeat(b"&eacute;"),
    "half entities": _repeat(b"&#"),
    "a table of states": _repeat(b"Estado del pago en Banxico </td> <td> "),
    "rows": _repeat(b"a,b,c\n"),
    "quoted cells": _repeat(b'"a""b",'),
    "an open quote": _repeat(b"a\n", b'"'),
    "columns": lambda size: b",".join(b"c%d" % n for n in range(size // 7)),
}  # fmt: skip
