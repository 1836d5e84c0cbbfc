#!/bin/sh
# As many images have it: php-fpm behind nginx, which is what the container is.
php-fpm8.2 --fpm-config /zoo/php-fpm.conf --allow-to-run-as-root &
exec nginx -c /zoo/nginx/php.conf -g 'daemon off;'
