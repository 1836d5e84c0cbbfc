#!/bin/sh
# Looks at the configuration, as such scripts do.
set -e
grep -q 'listen' /etc/nginx/sites-enabled/default
