"""The errors whose message is the whole story: the command line prints that line and nothing else."""


class PlainError(ValueError):
    """Something the user can mend. The message names the file or parameter, what was found,
    what was expected and what to do; it fits on one line."""


class InputError(PlainError):
    """A file, an array or a parameter that cannot be used."""


class SizeError(InputError):
    """More bytes than a dataset's `max_bytes` allows; what has them may well be whole and the only one."""


class MismatchError(PlainError):
    """Data and models that do not belong together, such as an encoder of another WGAN."""


class TrainingError(PlainError):
    """Training went wrong: a loss that is not finite, a critic that ran away, a collapsed generator, dead processes."""


class ClusterError(PlainError):
    """The machines or processes that work was spread over are lost; what they had finished is kept."""


def plural(count: int, noun: str) -> str:
    """ "1 image", "1,135 images"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def one_line(error: BaseException, most: int = 300) -> str:
    """An error's text on one line of at most `most` characters."""
    text = " ".join(str(error).split())[:most]
    return text or type(error).__name__
