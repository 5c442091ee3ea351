"""The wheel, as `pip install` makes it of a checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build_wheel(folder: Path) -> Path:
    """Build it in that folder, from a checkout in which nothing was generated."""
    source = folder / "checkout"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "v1", "var", "__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "protos", source / "protos", dirs_exist_ok=True)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*command, str(source / "dist"), str(source)], check=True, capture_output=True)
    (built,) = (source / "dist").glob("*.whl")
    return built
