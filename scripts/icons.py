"""The font of the icons: of JupyterHub's Font Awesome the few that our pages show, a twentieth of it.

Its licence (SIL OFL 1.1) lets it be changed under another name than its own; the copyright in it stays.
"""

import io

from fontTools import subset
from fontTools.ttLib import TTFont

from hub_ext.web.pages import sheet
from hub_ext.web.pages.assets import locate

_CALLED = {1: sheet.ICONS_FAMILY, 3: f"{sheet.ICONS_FAMILY} of hub-ext", 4: sheet.ICONS_FAMILY, 6: "hub-ext-icons"}
_KEPT = (0, 2, 5, 13, 14)  # copyright, weight, version, licence


def font() -> bytes:
    """The font, as WOFF2: the same bytes for the same icons and the same Font Awesome."""
    made = TTFont(locate(sheet.FONT_AWESOME)[1], recalcTimestamp=False)
    wanted = sheet.icons()
    missing = wanted - made.getBestCmap().keys()
    if missing:
        raise SystemExit(f"Font Awesome has no icon {', '.join(f'{one:x}' for one in sorted(missing))}")
    options = subset.Options(
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], layout_features=[], hinting=False, notdef_outline=True
    )
    cut = subset.Subsetter(options)
    cut.populate(unicodes=wanted)
    cut.subset(made)
    for record in made["name"].names:
        if record.nameID in _CALLED:
            made["name"].setName(
                _CALLED[record.nameID], *(record.nameID, record.platformID, record.platEncID, record.langID)
            )
    outlines = made["CFF "].cff
    outlines.fontNames = [_CALLED[6]]
    outlines.topDictIndex[0].FullName = outlines.topDictIndex[0].FamilyName = sheet.ICONS_FAMILY
    made.flavor = "woff2"
    written = io.BytesIO()
    made.save(written)
    return written.getvalue()
