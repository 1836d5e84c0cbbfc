//go:build linux

package e2e

import (
	"os"
	"slices"
)

// more: SWAPINIT_TEST_MORE is set, as `make more` does. Everything that needs an image of
// its own is run then, which is half an hour of building, and every server in each way.
// Without it there is a choice of each kind, below.
var more = os.Getenv("SWAPINIT_TEST_MORE") != ""

// chosen are those that are run always, by the names of their subtests.
var chosen = []string{
	"node/Unmodified",
	"README.md as a whole", "gate.md The shortest thing that works", "legacy builder",
	"adopted go", "adopted node-cluster", "adopted nginx", "adopted apache-event", "adopted lighttpd", "adopted haproxy", "adopted caddy",
	"adopted gunicorn", "adopted uwsgi", "adopted puma-cluster", "adopted unicorn", "adopted php-fpm",
	"adopted java", "adopted tomcat", "adopted redis",
	"hardened nginx-reuseport", "hardened python", "hardened apache-prefork", "hardened puma", "hardened jetty",
	"Nomad", "Podman Quadlet", "Kamal",
	"ends apache-event", "ends gunicorn", "ends redis",
	"check nginx", "check puma-cluster", "signals nginx", "signals uwsgi",
}

// often reports whether a subtest is run here.
func often(name string) bool { return more || slices.Contains(chosen, name) }
