"""The images of the enclave: what their names mean, who signed them, and verifying them now."""

from __future__ import annotations

from hub_ext.web.api import asked
from hub_ext.web.api.catalog import READERS, CatalogHandler
from hub_ext.web.api.image_models import EnclaveImages
from hub_ext.web.api.operation import Answer, Body, operation


class Images(CatalogHandler):
    """`images`."""

    @operation(
        "List the images of the enclave",
        {200: Answer("What each name means, who signed it, and which profiles are made from it", EnclaveImages)},
        description=READERS,
    )
    async def get(self) -> None:
        """List them."""
        self.answer(EnclaveImages.model_validate(await self.call(self.desk.images)))


class Verification(CatalogHandler):
    """`images/verification`."""

    @operation(
        "Verify the images of the enclave now",
        {200: Answer("How they stand now", EnclaveImages)},
        body=Body(asked.Nothing, optional=True),
        description="For curators, with a browser session or a token that may act in roles. It asks registries, which "
        "takes a moment.",
    )
    async def post(self, body: asked.Nothing) -> None:
        """Verify them."""
        del body
        desk = await self.acting_desk()
        self.answer(EnclaveImages.model_validate(await self.call(desk.verify_images)))
