"""The folder in which the fuzzer works: it empties its own, and touches nothing in any other."""

import shutil
from pathlib import Path

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.files import write_text

MATERIAL, CASES = "material", "cases"
MARK = "made_by_fuzz.txt"


def cleared(root: Path) -> Path:
    """The folder, new or emptied of what an earlier run of the fuzzer left in it.

    Raises InputError if it is a file, or holds something and no earlier run made it.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; choose another --output-dir")
    if root.exists() and any(root.iterdir()) and not (root / MARK).is_file():
        raise InputError(
            f"{root}: not empty and not made by fuzz.py; nothing was touched; choose another --output-dir"
        )
    write_text(root / MARK, f"scripts/fuzz.py made this folder, and empties {MATERIAL} and {CASES} in it.\n")
    for folder in (root / MATERIAL, root / CASES):
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
    return root
