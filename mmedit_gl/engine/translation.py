"""A configuration said in other words, by tables of what becomes of each key."""

from collections.abc import Callable, Collection
from difflib import get_close_matches
from textwrap import fill
from typing import Any

from mmedit_gl.errors import BRIEF, UserError, concerns


class Translation:
    """Says a configuration, `theirs`, in our words.

    `sections` has a table for each kind of section: what becomes of each of its keys, a `Rule`.
    `defaults` has the values of theirs that ours does not share. `changed`, `left_out` and
    `differs` collect short sentences for a person: what has another name or value, what has no
    effect here, and what comes out differently.
    """

    def __init__(
        self, theirs: dict, sections: dict[str, dict[str, 'Rule']], defaults: dict[str, dict]
    ):
        self.theirs, self.sections, self.defaults = theirs, sections, defaults
        self.changed, self.left_out, self.differs = [], [], []

    def section(self, name: str, theirs: Any, path: str) -> dict:
        """A section in our words; `path` is its place in theirs.

        Raises `UserError` for a key that its table does not have and that would have an effect.
        """
        if not isinstance(theirs, dict):
            raise UserError(f'{path}: expected a dict, got {theirs!r}')
        rules, ours = self.sections[name], {}
        for key, value in {**self.defaults.get(name, {}), **theirs}.items():
            place = f'{path}.{key}' if path else key
            if key in rules:
                got = BRIEF.repr(value)
                with concerns(f'{place}: expected a value of another kind, got {got}'):
                    ours = merged(ours, rules[key](self, place, key, value))
            elif value is not None and (path or not self._is_variable(rules, key, value)):
                close = get_close_matches(key, rules, n=1, cutoff=0.8)
                hint = f'did you mean {close[0]!r}?' if close else 'take it out'
                raise UserError(f'{place}={value!r} has no counterpart in this project: {hint}')
        return ours

    def _is_variable(self, rules: Collection[str], key: str, value: Any) -> bool:
        """Whether a file has this name for its own use: what it says stands elsewhere too.

        One that says no more than a number or a text is left out.
        """
        if get_close_matches(key, rules, n=1, cutoff=0.8):
            return False
        if _contains({name: part for name, part in self.theirs.items() if name != key}, value):
            return True
        if isinstance(value, dict) or (isinstance(value, list) and dict in map(type, value)):
            return False
        self.left_out.append(key)
        return True

    def tables(self, kind: str) -> dict[str, str]:
        """The sections of one kind, by the words after it."""
        return {name.removeprefix(kind): name for name in self.sections if name.startswith(kind)}

    def notes(self) -> dict[str, list[str]]:
        """What there is to say, by titles, each sentence once."""
        notes = {
            'Changed': self.changed,
            'No effect': self.left_out,
            'Differs': self.differs,
        }
        return {title: list(dict.fromkeys(items)) for title, items in notes.items() if items}


# A function of the translation, the key's place, its name and its value, that gives what our
# configuration has for it.
Rule = Callable[[Translation, str, str, Any], dict]


def expect(path: str, value: Any, allowed: Collection) -> None:
    """`UserError` for a value that has no counterpart."""
    if _plain(value) not in map(_plain, allowed):
        expected = ' or '.join(map(repr, allowed))
        raise UserError(
            f'{path}: {value!r} has no counterpart in this project, expected {expected}'
        )


def same(*values: Any, name: str | None = None, section: str | None = None) -> Rule:
    """The same, maybe under another dotted name or as a section; one of `values`, if any."""

    def rule(translation: Translation, path: str, key: str, value: Any) -> dict:
        if values:
            expect(path, value, values)
        if section and value is not None:
            value = translation.section(section, value, path)
        for part in reversed((name or key).split('.')):
            value = {part: value}
        return value

    return rule


def given(translation: Translation, path: str, key: str, value: Any) -> dict:
    """The same, unless it is None."""
    return {} if value is None else {key: value}


def nothing(*values: Any) -> Rule:
    """Nothing, and not worth a word; one of `values` is expected, if any."""

    def rule(translation: Translation, path: str, key: str, value: Any) -> dict:
        if values:
            expect(path, value, values)
        return {}

    return rule


def refused(hint: str) -> Rule:
    """What has a counterpart elsewhere: `hint` says where; None is nothing."""

    def rule(translation: Translation, path: str, key: str, value: Any) -> dict:
        if value is not None:
            raise UserError(f'{path}={value!r} has no counterpart in this project: {hint}')
        return {}

    return rule


def becomes(ours: str, *theirs: str) -> Rule:
    """One of `theirs` by our name."""

    def rule(translation: Translation, path: str, key: str, value: Any) -> dict:
        expect(path, value, (*theirs, ours))
        if value != ours:
            translation.changed.append(f'{value} is {ours}')
        return {key: ours}

    return rule


def within(name: str, inner: Rule) -> Rule:
    """What another rule gives, in a section of this name."""
    return lambda translation, path, key, value: {name: inner(translation, path, key, value)}


def spread(section: str) -> Rule:
    """What a section gives, in place of the section."""
    return lambda translation, path, key, value: translation.section(section, value or {}, path)


def left_out(translation: Translation, path: str, key: str, value: Any) -> dict:
    """Nothing, since it has no effect here."""
    if value is not None:
        translation.left_out.append(path)
    return {}


def merged(one: dict, other: dict) -> dict:
    """Both, section by section; where both have a value, the other's."""
    result = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            result[key] = merged(one[key], other[key])
    return result


def wrapped(notes: dict[str, list[str]], indent: str) -> str:
    """Notes as paragraphs of 100 columns beside their titles, each line after `indent`."""
    return '\n'.join(
        fill(
            '; '.join(items),
            width=100,
            initial_indent=f'{indent}{title:<11}',
            subsequent_indent=indent + 11 * ' ',
            break_long_words=False,
            break_on_hyphens=False,
        )
        for title, items in notes.items()
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _contains(values: Any, value: Any) -> bool:
    """Whether a value stands somewhere among these, a text also as part of another."""
    if _plain(values) == _plain(value):
        return True
    if isinstance(values, str):
        return isinstance(value, str) and bool(value) and value in values
    inner = values.values() if isinstance(values, dict) else values
    return isinstance(values, (dict, list, tuple)) and any(_contains(v, value) for v in inner)
