# Make the databases at the first start, all or nothing; then be PostgreSQL.
set -eu
umask 077
home=/var/lib/postgresql
data=$home/data
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
exec postgres -D "$data" -c "listen_addresses=*" -c unix_socket_directories=/tmp -c max_connections=200 \
    -c logging_collector=off -c log_min_messages=warning
