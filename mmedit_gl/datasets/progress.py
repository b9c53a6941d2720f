"""How work on many pictures shows that it goes on."""

from rich.progress import MofNCompleteColumn, Progress


def progress_bar(disable: bool = False) -> Progress:
    return Progress(*Progress.get_default_columns(), MofNCompleteColumn(), disable=disable)
