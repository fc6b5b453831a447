"""Alembic runs this; the connection comes from `hub_ext.db.migrate`."""

from alembic import context

from hub_ext.db.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
