"""Sessions of the project; the table in CONTRIBUTING.md lists them."""

import nox

nox.options.sessions = ["lint", "types", "tests"]


@nox.session
def lint(session):
    """ruff and cython-lint."""
    session.install("ruff", "cython-lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("cython-lint", "src")


@nox.session
def types(session):
    """mypy --strict on the public API."""
    session.install("mypy", "numpy")
    session.run("mypy", "--strict", "python/adcore")


@nox.session
def tests(session):
    """The suite against an installed wheel."""
    session.install(".[test]")
    session.run("python", "-P", "-m", "pytest", *session.posargs)


@nox.session(python="3.10")
def oldest(session):
    """The suite with the oldest Python, NumPy and SciPy that pyproject.toml admits."""
    session.install(".[test]", "numpy==2.2.*", "scipy==1.15.*")
    session.run("python", "-P", "-m", "pytest", *session.posargs)


@nox.session
def debug(session):
    """The suite on a build with Cython's checks on and the verifier between passes."""
    session.install(".[test]", "--config-settings=cmake.define.ADCORE_DEBUG=ON")
    session.run("python", "-P", "-m", "pytest", *session.posargs)


@nox.session
def bench(session):
    """The tables of docs/performance.md."""
    session.install(".[bench]")
    session.run("python", "bench/run.py", "--all", *session.posargs)


@nox.session
def wheels(session):
    """sdist, the wheel from the sdist, and nothing else needed."""
    session.install("build")
    session.run("python", "-m", "build")
