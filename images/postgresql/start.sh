# Wait until there is some space, make the databases at the first start, all or nothing; then be PostgreSQL.
set -eu
umask 077
home=/var/lib/postgresql
data=$home/data
# PostgreSQL ends where it cannot write its log of changes. A container that ends again and again is started ever later,
# so it waits here: two files of that log.
free() { df --output=avail -k "$home" | tail -n 1; }
rm -f /tmp/no-space
while [ "$(free)" -lt 32768 ]; do
    [ -e /tmp/no-space ] || echo "No space left on the volume of PostgreSQL: it starts when there are 32 MB. Make the volume larger." >&2
    touch /tmp/no-space
    sleep 1
done
rm -f /tmp/no-space
if [ ! -e "$data/PG_VERSION" ]; then
    rm -rf "$home/partial"
    initdb --pgdata="$home/partial" --username=hub_ext --pwfile=/run/secrets/hub-ext/postgresql-password \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 > /dev/null
    echo "host all all all scram-sha-256" >> "$home/partial/pg_hba.conf"
    for name in hub_ext jupyterhub; do
        echo "CREATE DATABASE $name" | postgres --single -D "$home/partial" postgres > /dev/null
    done
    mv "$home/partial" "$data"
fi
# Nobody replicates a trial; a checkpoint would write a file for those who do, and end the server where there is no space.
exec postgres -D "$data" -c "listen_addresses=*" -c unix_socket_directories=/tmp -c max_connections=200 \
    -c max_replication_slots=0 \
    -c logging_collector=off -c log_min_messages=warning
