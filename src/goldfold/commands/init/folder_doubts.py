"""Doubts about a folder and its best reading."""

from collections.abc import Collection, Iterator

from goldfold.base.words import count, noun
from goldfold.commands.init import class_doubts, pictures, rehearsal
from goldfold.commands.init.found import Doubt, Layout, some
from goldfold.commands.init.reading import Reading
from goldfold.commands.init.walk import Tree, base
from goldfold.images.files import UNREAD, is_text, without_suffix


def all_doubts(tree: Tree, best: Reading) -> list[Doubt]:
    """All doubts, without repeats."""
    doubts = [*best.layout.doubts, *class_doubts.doubts(best.layout)]
    doubts += pictures.doubts(best.looked) if best.looked is not None else []
    doubts += [*_splits(best.layout), *_names(tree)]
    doubts += _refused(best, {doubt.text for doubt in doubts if doubt.stops})
    return list(dict.fromkeys(doubts))


def _refused(best: Reading, known: Collection[str]) -> Iterator[Doubt]:
    """Error of ``goldfold check`` if it is not among the doubts, with the line to paste if it proposes one."""
    text = " ".join((best.refusal or "").split())
    if not text or text in known:
        return
    found = rehearsal.policy(text)
    paste = f" To solve it, paste below data: `{found[0]}: {found[1]}`." if found else ""
    yield Doubt(f"goldfold check refuses this config: {text}{paste}", stops=True)


def _splits(layout: Layout) -> list[Doubt]:
    """Doubts about missing test images, and test images named like training images."""
    if "test" not in layout.splits:
        return [Doubt("no test images: there will be a cross-validation score but no submission.")]
    both = {without_suffix(base(name)) for name in layout.train} & {without_suffix(base(name)) for name in layout.test}
    if not both:
        return []
    first = some(sorted(both)[:1])
    return [
        Doubt(f"{count(len(both), 'name')} shared by training and test images, e.g. {first}: are they the same images?")
    ]


def _names(tree: Tree) -> list[Doubt]:
    """Doubts about unreadable folders and files, and names that a table cannot hold."""
    doubts = [Doubt(f"folder {name} cannot be read and is left out.") for name in tree.unreadable]
    odd = [name for name in tree.images() if not name.isascii() and not is_text(name)]
    if odd:
        n, them = count(len(odd), "name of an image is", "names of images are"), noun(len(odd), "it", "them")
        text = f"{n} not UTF-8, e.g. {odd[0]!r}, so tables cannot hold {them}. Rename {them}."
        doubts.append(Doubt(text, stops=True))
    if tree.special:
        are = noun(len(tree.special), "is not a regular file", "are not regular files")
        n = count(len(tree.special), "name")
        doubts.append(Doubt(f"{n} {are} but a pipe, a socket or a device, skipped: {some(tree.special)}."))
    unread = tree.files(*UNREAD)
    if unread:
        n = count(len(unread), "picture")
        text = f"{n} in a format that goldfold does not read, skipped: {some(unread)}. Convert them."
        doubts.append(Doubt(text))
    return doubts
