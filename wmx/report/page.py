"""Rendering Jinja templates to HTML files that are self-contained and run no script.

A page is one file.  It has no script, font or picture from elsewhere, and its content security
policy forbids them, so that a page loads nothing even if a template were wrong.  All values are
escaped; names and notes that somebody else chose lose their control characters first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wmx._internal.text import printable
from wmx._internal.writing import PUBLIC_MODE, write_bytes
from wmx.errors import MissingExtraError
from wmx.protocol.replacing import PAGE, require_output

TEMPLATES = Path(__file__).parent
NO_LIMIT = None


def require_engines() -> None:
    """Check that the packages for pages are installed, before the work that they will show.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    _jinja2()
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError:
        raise MissingExtraError("matplotlib", "report") from None


def write_page(
    template: Path,
    values: Mapping[str, Any],
    path: str | Path,
    *,
    mode: int = PUBLIC_MODE,
    force: bool = False,
) -> None:
    """Render a template and write the page.

    Args:
        template: the file; it may extend ``base.html.jinja``.
        values: by their names in the template.
        path: of the page.
        mode: of the file; 0600 where the page shows what not everybody may see.
        force: replace an existing HTML page.

    Raises:
        MissingExtraError: jinja2 is not installed.
        CannotRunError: ``path`` exists and ``force`` is not set, or it is no page; or it cannot be
            written.
    """
    require_output(path, PAGE, force=force)
    write_bytes(path, render(template, values).encode(), mode=mode, force=force)


def render(template: Path, values: Mapping[str, Any]) -> str:
    """Return the page as HTML; arguments and errors as of :func:`write_page`."""
    jinja2 = _jinja2()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page: str = environment.get_template(template.name).render(values)
    return page


def _shown(value: Any) -> Any:
    """Take control and direction characters out of plain text; markup is a template's own."""
    return printable(value, NO_LIMIT) if type(value) is str else value


def _jinja2() -> Any:
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    return jinja2
