"""What the API gives of an enclave's images."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from hub_ext.web.api.models import Given


class ImageDoubt(Given):
    """Why the enclave is not content with an image."""

    message: str
    denies: bool = Field(description="Whether starts with it are denied.")


class EnclaveImage(Given):
    """An image that profiles name."""

    name: str
    image: str = Field(description="Registry, name and digest.")
    state: Literal["verified", "refused", "waiting", "off"]
    signed_by: list[str] = Field(description="Names of the enclave's keys.")
    sbom: str | None = Field(description="Kind of its list of parts.")
    sbom_signed_by: str | None
    doubts: list[ImageDoubt]
    problems: list[str]
    since: datetime | None = Field(description="Since when it is so.")
    last: datetime | None = Field(description="When it was seen so last.")
    hindered: str | None = Field(description="Why it could not be looked at last.")
    profiles: list[str] = Field(description="Versions that are made from it.")


class EnclaveImages(Given):
    """The images of the enclave."""

    enclave: str
    local: bool = Field(description="Servers and runs are processes of one machine, which have no images.")
    verify: Literal["off", "warn", "required"]
    sbom: Literal["off", "warn", "required"]
    serial: int | None = Field(description="Of the lock; none where there is no lock that can be used.")
    signed_by: list[str]
    signatures_needed: int
    items: list[EnclaveImage]
