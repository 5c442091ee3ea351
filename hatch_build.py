"""Generates `convergence/v1` from `protos/`.

hatchling runs it for wheels, source distributions and editable installs; `python hatch_build.py` does the same by hand.
`python hatch_build.py --lint` checks the protos with buf against `protos/buf.yaml`, and that clients of the released
contract can go on with them. `python hatch_build.py --release` makes the present protos the released contract.
"""

import gzip
import hashlib
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
PROTOS = ROOT / "protos"
PACKAGE = Path("convergence/v1")
GENERATED = ROOT / PACKAGE
STAMP = GENERATED / ".stamp"
DESCRIPTORS = "descriptors.binpb"
RELEASED = PROTOS / "released.binpb.gz"
GENERATORS = ("grpcio-tools", "mypy-protobuf", "protobuf")


class ProtoBuildHook(BuildHookInterface[Any]):
    """Brings the generated code up to date before files are collected."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each target is built."""
        generate()


def generate() -> bool:
    """Generate the code unless it is there for exactly these protos and generators; True when it was generated."""
    fingerprint = _fingerprint()
    if STAMP.is_file() and STAMP.read_text() == fingerprint:
        return False
    GENERATED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".protos-") as scratch:
        _generate_into(Path(scratch))
        _replace_generated(Path(scratch) / PACKAGE)
    STAMP.write_text(fingerprint)  # last, so that an interrupted generation is done again
    return True


def _sources() -> list[Path]:
    return sorted(PROTOS.rglob("*.proto"))


def _fingerprint() -> str:
    """Changes with the sources, this script and the generators; file times mean nothing after a checkout."""
    digest = hashlib.sha256()
    for path in [*_sources(), Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for name in GENERATORS:
        digest.update(f"{name}=={metadata.version(name)}\n".encode())
    return digest.hexdigest()


def lint() -> int:
    """Check the protos with buf, of the environment that runs this; answers its exit code.

    buf gets them compiled, with what they import: by itself it would fetch google/api over the network.
    """
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch) / "protos.binpb"
        _protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={compiled}")
        rules = ("--config", PROTOS / "buf.yaml", "--path", PACKAGE.parts[0])
        return _buf("lint", compiled, *rules) or _buf("breaking", compiled, "--against", RELEASED, *rules)


def _buf(*arguments: str | Path) -> int:
    buf = Path(sys.executable).with_name("buf")
    return subprocess.run([buf, *arguments], check=False).returncode  # noqa: S603 - nothing comes from outside


def release() -> None:
    """From now on `lint` finds what would break clients of the present protos."""
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch) / "protos.binpb"
        _protoc("--include_imports", f"--descriptor_set_out={compiled}")
        # The same protos give the same file.
        RELEASED.write_bytes(gzip.compress(compiled.read_bytes(), mtime=0))


def _generate_into(target: Path) -> None:
    (target / PACKAGE).mkdir(parents=True)
    _protoc(
        # With the comments, which the generated code does not have: they are the manual.
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={target / PACKAGE / DESCRIPTORS}",
        f"--plugin=protoc-gen-mypy={_plugin('protoc-gen-mypy')}",
        f"--plugin=protoc-gen-mypy_grpc={_plugin('protoc-gen-mypy_grpc')}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_out=quiet:{target}",
        # Concrete: a servicer need not have every method, those it lacks answer UNIMPLEMENTED.
        f"--mypy_grpc_out=quiet,generate_concrete_servicer_stubs:{target}",
    )


def _protoc(*outputs: str) -> None:
    includes = [f"--proto_path={path}" for path in (PROTOS, *_include_paths())]
    sources = [str(path.relative_to(PROTOS)) for path in _sources()]
    arguments = ["protoc", *includes, *outputs, *sources]
    if status := protoc.main(arguments):
        raise RuntimeError(f"protoc failed with status {status}; what is wrong stands above")


def _plugin(name: str) -> Path:
    """The script that mypy-protobuf installed; the PATH of a build need not have it."""
    for file in metadata.files("mypy-protobuf") or ():
        if file.stem == name:
            return Path(str(file.locate())).resolve()
    raise RuntimeError(f"mypy-protobuf is installed without {name}")


def _include_paths() -> list[Path]:
    """Where google/protobuf and google/api lie, from the installed grpcio-tools and googleapis-common-protos."""
    return [
        Path(str(metadata.distribution("grpcio-tools").locate_file("grpc_tools/_proto"))),
        Path(str(metadata.distribution("googleapis-common-protos").locate_file(""))),
    ]


def _replace_generated(fresh: Path) -> None:
    """Move the files into place one by one, so that whoever imports them meanwhile finds each of them."""
    (fresh / "__init__.py").write_text('"""Generated from protos/convergence/v1; not to be edited."""\n')
    (fresh / "py.typed").touch()
    names = {path.name for path in fresh.iterdir()}
    for name in names:
        (fresh / name).replace(GENERATED / name)
    for outdated in GENERATED.glob("*.py*"):
        if outdated.is_file() and outdated.name not in names:
            outdated.unlink()


if __name__ == "__main__":
    if sys.argv[1:] == ["--lint"]:
        sys.exit(lint())
    if sys.argv[1:] == ["--release"]:
        sys.exit(release())
    print("generated convergence/v1" if generate() else "convergence/v1 is up to date", file=sys.stderr)  # noqa: T201
