"""``api/oauth2/token``: the answer that gives a service a session's token also says whose it is.

A service asks for that at once (``api/user``), so a sign-in would wait for one question more.
"""

from __future__ import annotations

import json
from typing import Any

from jupyterhub import orm, scopes
from jupyterhub.apihandlers.auth import OAuthTokenHandler
from sqlalchemy.exc import SQLAlchemyError

from hub_ext.signin.whose import ASKS, WHOSE


class SessionToken(OAuthTokenHandler):
    """JupyterHub's answer, and whose token it is where the service asks for that."""

    _token: orm.APIToken | None = None

    async def get_current_user(self) -> None:
        """Return nobody: the client's secret, in the form, says who asks; no other right counts here."""
        self._jupyterhub_user = None

    def get_token(self) -> Any:
        """Return the token that is looked with: the one that was just made, else the one of the request."""
        return self._token or super().get_token()

    def send_oauth_response(self, headers: dict[str, str], body: str, status: int) -> None:
        """Answer.

        Args:
            headers: Of the answer.
            body: JSON, as JupyterHub's provider made it.
            status: HTTP status.
        """
        if status == 200 and ASKS in self.request.headers:
            found = json.loads(body)
            try:
                body = json.dumps(found | {WHOSE: self._whose(str(found["access_token"]))})
            except SQLAlchemyError:  # the token is good all the same; who it belongs to can be asked for
                self.log.warning("Failed to look up whose a new token is", exc_info=True)
                self.db.rollback()
        super().send_oauth_response(headers, body, status)

    def _whose(self, token: str) -> dict[str, Any] | None:
        """Return what ``api/user`` says of a token; None of a service's."""
        self._token = orm.APIToken.find(self.db, token)
        if self._token is None or self._token.user is None:
            return None
        self._jupyterhub_user = user = self._user_from_orm(self._token.user)
        self._resolve_roles_and_scopes()
        held = frozenset(self.expanded_scopes)
        self.expanded_scopes |= scopes.identify_scopes(user.orm_user)  # each token may say who its person is
        self.parsed_scopes = scopes.parse_scopes(self.expanded_scopes)
        ids = {"token_id": self._token.api_id, "session_id": self._token.session_id}
        return {**self.user_model(user), **ids, "scopes": sorted(held)}
