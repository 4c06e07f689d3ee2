"""Values that stand behind the name of a secret, in whatever notation."""

import functools
import re

from runback.system.secrecy.secret_formats import HIDDEN
from runback.system.secrecy.secret_names import is_plain, is_strong, secret_key, secret_variable, word_set

LONGEST_GROUP = 4096
"""Characters of a list or mapping that is hidden whole, where its end is not found before."""

AHEAD = 4096
"""Characters behind a name that are looked at to tell what stands there; what is hidden may be longer."""

_STEM = re.compile(
    "pass|pwd|pw|psk|secret|token|key|cred|auth|dsn|cookie|conn|jwt|bearer|pat|otp|webhook|mnemonic|netrc|"
    "signature|sas|recover|backup|seed",
    re.IGNORECASE,
)

_NAMED = re.compile(
    r"(?<![\w.\-])(?:"
    # --api-key VALUE, also as two of a list
    r"(?P<flag>--[\w.\-]++)(?:[ \t]++|\\*[\"'][ \t]*,[ \t]*)(?=[^\s\-=|])|"
    r"(?P<name>[\w.\-]++)(?:"
    # NAME=, "NAME": , os.environ["NAME"] =
    r"(?P<quote>\\*[\"'])?\]?[ \t]*+(?P<sign>=>|:=|=(?!=)|:(?!:))[ \t]*+|"
    # ("NAME", "VALUE")
    r"(?P<pair>\\*[\"'])[ \t]*,[ \t]*(?=\\*[\"'])|"
    # <NAME>VALUE</NAME>
    r"(?P<element>>)(?=[^<\n]*</)))"
)

_OPENING = re.compile(r"[bBrRuUfF]{0,2}(\"\"\"|'''|\\*[\"'])")
_BLOCK = re.compile(r"[|>][-+0-9]{0,3}[ \t]*(?:#[^\n]*)?\n")
_EMPTY_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?\n")
_NEXT_LINE = re.compile(r"\n[ \t]*(?=\\*[\"'])")
_ENTRY = re.compile(r"[ \t]*(?:-[ \t]|-$|[\"']?[\w.\-]+[\"']?:(?:[ \t]|$))")
_LINE_START = re.compile(r"(?:[ \t>|+*]|-[ \t]|export[ \t]|set[ \t]|declare[ \t]-x[ \t])*")
_LINE = re.compile(r"[^\n]*+")
_RUN = re.compile(r"[^\s\"'<>]++")
_SHORT_RUN = re.compile(r"[^\s,;&\"'<>(){}\[\]]++")
_NUMBER = re.compile(r"[-+]?[\d.,_]+(?:e[-+]?\d+)?%?", re.IGNORECASE)

_PLAIN = word_set(
    "true false none null nan yes no on off required optional missing invalid expired wrong set "
    "unset not empty disabled enabled default any str int float bool bytes object list dict tuple "
    "string secretstr ~ ? ??? … ... denied failed ok is was must and or"
)
"""Values that are none, types, or what a message says about a secret."""

_PLACEHOLDER = re.compile(
    r"(?:\$\{[^{}]*"
    r"(?:\{[^{}]*\}[^{}]*)*\}|\$\w+|"
    r"\$\([^()]*\)|%s|%r|%\(\w+\)s|\{\w*\}|<[\w -]*>|\?{3})+"
)
_DEFAULT = re.compile(r"\$\{oc\.env:\w+,[^{}]")
_CODE = re.compile(
    r"(?:await[ \t]|lambda\b|not[ \t])?(?:[A-Za-z_][\w.]*[(\[]|(?:self|cls|os|cfg|config|args|options|"
    r"settings|request|kwargs)\.[\w.]+)"
)
_TYPE = re.compile(r"(?:str|bytes|int|None|Any)\b[ \t]*(?:\||=|,|\)|$)")
_ABOUT_SYNTAX = re.compile(
    r"(?:unexpected|invalid|unknown|next|bad|illegal|missing|expected|special|first|last|this)[ \t]+[\"'`]?$",
    re.IGNORECASE,
)
_FILE = re.compile(r"\.(?:c|cfg|csv|db|html|ini|ipynb|js|json|log|md|pyc?|sh|so|toml|txt|xml|ya?ml|zip)$")
_WHOLE_LINE = re.compile(r"(?:^|[-_.])(?:authorization|cookies?)$", re.IGNORECASE)

Span = tuple[int, int, str]
"""The beginning and the end of a value, and the text in its place."""


def without_named(text: str) -> str:
    """Return `text` without the values that stand behind names of secrets."""
    if _STEM.search(text) is None:
        return text
    parts: list[str] = []
    done = position = 0
    while (match := _NAMED.search(text, position)) is not None:
        position = match.end()
        span = _Named(text, match).value()
        if span is not None:
            start, end, instead = span
            parts += [text[done:start], instead]
            done = position = max(end, position)
    return "".join([*parts, text[done:]])


def is_placeholder(value: str) -> bool:
    """Say whether a value only stands for one: an interpolation, a variable, a word such as `none`."""
    return value.lower() in _PLAIN or HIDDEN in value or _PLACEHOLDER.fullmatch(value[:1000]) is not None


class _Named:
    """A name that a value stands behind."""

    def __init__(self, text: str, match: re.Match[str]) -> None:
        self.text, self.start, self.sign = text, match.end(), match["sign"]
        self.name = (match["flag"] or match["name"]).lstrip("-")
        self.begin = match.start()
        self.is_flag, self.is_element = match["flag"] is not None, match["element"] is not None
        self.is_pair = match["pair"] is not None
        self.is_quoted = match["quote"] is not None

    def value(self) -> Span | None:
        """Return where the secret behind the name stands; None where there is none."""
        if not self._names_secret():
            return None
        opening = _OPENING.match(self.text, self._at_quote())
        if opening is not None:
            return self._in_quotes(opening)
        if self.is_pair:
            return None
        if self.is_element:
            return self._span(self.start, self.text.find("<", self.start), "")
        if self.sign == ":" and (block := self._block()) is not None:
            return block
        if self.text[self.start : self.start + 1] in ("{", "["):
            return self._group() if self.is_strong else None
        return self._bare()

    def _names_secret(self) -> bool:
        if _is_harmless_name(self.name):
            return False
        if not self.is_quoted and self.text[self.start : self.start + 1] == "\n" and not is_strong(self.name):
            return False
        self.is_strong = is_strong(self.name)
        before = self.text[max(0, self.begin - 24) : self.begin]
        self.is_line_start = self._is_line_start()
        if not self.is_strong and not secret_key(self.name):
            # A name in capitals is an environment variable's.
            if not (self.sign == "=" and self.name.isupper() and secret_variable(self.name)):
                return False
            return self.is_line_start and not _is_short_number(self.text, self.start)
        if self.sign == ":" and (before.endswith(("/", "\\")) or _FILE.search(self.name)):
            return False  # a file that something is said about
        if self.is_pair:
            return before.rstrip("\"'\\ ").endswith("(")
        if self.is_element:
            return before.endswith("<")
        return self.is_strong or _ABOUT_SYNTAX.search(before) is None

    def _is_line_start(self) -> bool:
        line = self.text.rfind("\n", max(0, self.begin - 200), self.begin) + 1
        if line == 0 and self.begin > 200:
            return False
        return _LINE_START.fullmatch(self.text, line, self.begin) is not None

    def _at_quote(self) -> int:
        """Return where a quoted value may begin, which in JSON can be on the next line."""
        following = _NEXT_LINE.match(self.text, self.start) if self.is_quoted else None
        return self.start if following is None else following.end()

    def _in_quotes(self, opening: re.Match[str]) -> Span | None:
        start, mark = opening.end(), opening[1]
        end = _end_of_quotes(self.text, start, mark)
        if end < 0:  # it was cut off
            line = self.text.find("\n", start)
            end = len(self.text) if line < 0 else line
        return self._span(start, end, "")

    def _block(self) -> Span | None:
        """Return what stands below the name, further in, as YAML writes texts of several lines and lists."""
        scalar = _BLOCK.match(self.text, self.start)
        empty = None if scalar or not self.is_strong else _EMPTY_LINE.match(self.text, self.start)
        body = scalar or empty
        if body is None:
            return None
        line = self.text.rfind("\n", 0, self.begin) + 1
        indent = len(self.text[line : self.begin]) - len(self.text[line : self.begin].lstrip(" \t"))
        end = position = body.end()
        while position < len(self.text):
            following = self.text.find("\n", position)
            following = len(self.text) if following < 0 else following
            content = self.text[position:following]
            depth = len(content) - len(content.lstrip(" \t"))
            is_entry = depth >= indent and content[depth : depth + 2] == "- " and scalar is None
            if content.strip() and not (is_entry or depth > indent):
                break
            if content.strip():
                if scalar is None and end == body.end() and not _ENTRY.match(content):
                    return None
                end = following
            position = following + 1
        if end == body.end():
            return None
        space = "" if self.text[self.start - 1] in " \t" else " "
        return self.start, end, f"{space}{HIDDEN}"

    def _group(self) -> Span | None:
        """Return the whole list or mapping."""
        depth = 0
        limit = min(len(self.text), self.start + LONGEST_GROUP)
        for position in range(self.start, limit):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(self.text[position], 0)
            if depth == 0:
                limit = position + 1
                break
        group = self.text[self.start : limit]
        if not group.strip("{}[] \t\n") or _PLACEHOLDER.fullmatch(group):
            return None
        hidden = f'"{HIDDEN}"' if self.is_quoted else HIDDEN
        return None if group in (f"[{HIDDEN}]", f"{{{HIDDEN}}}") else (self.start, limit, hidden)

    def _bare(self) -> Span | None:
        """Return the value without quotes: to the line's end, to the quote around all of it, or one word."""
        if self.text.startswith(HIDDEN, self.start):
            return None
        line = self._end_of_line()
        rest = self.text[self.start : line]
        if not rest.strip() or rest[0] in "=,;)]}":
            return None
        is_variable = self.name.isupper() and self.sign == "=" and self.is_line_start
        if not is_variable and (_CODE.match(rest) or _TYPE.match(rest)):
            return None
        quote = _quote_around(self.text, self.begin)
        if not self.is_quoted and quote and (end := self.text.find(quote, self.start, line)) > 0:
            return self._span(self.start, end, "")
        is_spaced = self.sign == ":" or self.text[self.start - 1] in " \t"
        if _WHOLE_LINE.search(self.name) and not self.is_quoted:
            return self._span(self.start, line, "", _LINE)
        if self.is_line_start and not self.is_quoted and (is_variable or (self.is_strong and is_spaced)):
            return self._span(self.start, line, "", _LINE)
        pattern = _RUN if self.is_strong else _SHORT_RUN
        run = pattern.match(self.text, self.start, line)
        if run is None:
            return None
        value = run[0] if len(run[0]) == AHEAD else _trimmed(run[0])
        if not self.is_strong and self._is_prose(value):
            return None
        return self._span(self.start, self.start + len(value), '"' if self.is_quoted else "", pattern)

    def _end_of_line(self) -> int:
        """Return where the line ends, or what is looked at of it."""
        limit = min(len(self.text), self.start + AHEAD)
        line = self.text.find("\n", self.start, limit)
        return limit if line < 0 else line

    def _is_prose(self, value: str) -> bool:
        is_word = value.isalpha() and value.islower() and len(value) <= 10
        is_said = self.sign == ":" and self.text[self.start - 1] in " \t" and not self.is_line_start
        return is_word and (self.is_flag or is_said)

    def _span(self, start: int, end: int, quote: str, rest: re.Pattern[str] | None = None) -> Span | None:
        """Return a value to be hidden; with as much as is looked at goes the `rest` of it."""
        value = self.text[start : min(end, start + AHEAD)].strip()
        if self._is_harmless(value):
            return None
        if rest is not None and end - start == AHEAD and (more := rest.match(self.text, end)) is not None:
            end = more.end()
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return start, end, f"{quote}{HIDDEN}{quote}"

    def _is_harmless(self, value: str) -> bool:
        word = value.lower().rstrip(".,;:!")
        if not value or value.startswith(HIDDEN) or word in _PLAIN:
            return True
        if _PLACEHOLDER.fullmatch(value[:1000]):
            return _DEFAULT.search(value) is None
        if _NUMBER.fullmatch(value[:100]):
            return len(value) < (3 if self.is_strong else 9)
        if not self.is_strong and is_plain(value):
            return True
        last = self.name.rpartition(".")[2].replace("-", "_").lower()
        return value.rpartition(".")[2].lower() == last and value.isascii() and not value[:1].isdigit()


def _end_of_quotes(text: str, start: int, mark: str) -> int:
    """Return where the closing quote begins; -1 where there is none."""
    if len(mark) == 1:
        match = re.compile(rf"(?:[^\\{mark}]|\\.)*+", re.DOTALL).match(text, start)
        end = start if match is None else match.end()
        return end if end < len(text) and text[end] == mark else -1
    end = text.find(mark, start)
    if mark[0] == "\\":  # not one with more backslashes, which is a part of the value
        while end > start and text[end - 1] == "\\":
            end = text.find(mark, end + 1)
    return end


def _quote_around(text: str, begin: int) -> str:
    """Return the quote that opens just before a name, perhaps with the rest of a dotted key, or a `+`."""
    before = text[max(0, begin - 3) : begin].rstrip("+~")
    return before[-1] if before and before[-1] in "\"'`" else ""


def _trimmed(value: str) -> str:
    """Return a value without the brackets and signs that belong to the text around it."""
    value = value.rstrip(".,;:`")
    while value and any(
        value[-1] == close and value.count(open_) < value.count(close) for open_, close in ("()", "[]", "{}")
    ):
        value = value[:-1].rstrip(".,;:`")
    return value


def _is_short_number(text: str, start: int) -> bool:
    match = _SHORT_RUN.match(text, start, start + 101)
    return match is None or _NUMBER.fullmatch(match[0][:100]) is not None


@functools.lru_cache(8192)
def _is_harmless_name(name: str) -> bool:
    return not (secret_key(name) or secret_variable(name))
