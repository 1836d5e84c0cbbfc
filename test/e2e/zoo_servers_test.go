//go:build linux

package e2e

import (
	"cmp"
	"strings"
	"testing"
)

// zooServer is a server that knows nothing of swapinit: a command as its users have it
// in a container, in the foreground, which binds port 8080 by itself. Its files are in
// docker/zoo. The tests below hold each to what stands here.
type zooServer struct {
	name     string
	command  []string
	env      []string
	protocol string // of the load, see load.Protocol

	// stop is the signal at which it ends gracefully, rude the one at which it ends at
	// once, whatever it has accepted; then the status that it exits with. "" = there
	// is no such signal: nothing is graceful, nothing but KILL is quicker.
	stop, rude         string
	stopCode, rudeCode int

	only     string // who can run it, if not both: root, or another user (1000)
	tmpfs    string // what it needs besides a root that is read-only
	writable bool   // it needs a root that is not

	// sockets are the tables in which those that listen on 8080 stand: tcp6 is one for
	// both families, or, beside tcp, one for IPv6 alone. ipv6 is the same where the
	// container has IPv6 at all, if that makes a difference.
	sockets, ipv6 string
	ports         string // what else it listens on

	// early: its master listens before its workers have loaded what answers. The
	// seconds which that takes are in ZOO_LOAD, or "fail".
	early bool

	settings []string // what it needs from swapinit besides SWAPINIT_LISTEN
}

// apachePid gives each generation a pid file of its own: a second Apache that finds the
// first one's ends, with status 0.
const apachePid = "PidFile /tmp/apache-{generation}.pid"

// The statuses are those under an init. As PID 1 none hears of a signal that it leaves to
// the kernel (python's and php's TERM), and Ruby exits with 1.
//
// What adoption has to cope with, seen with strace:
//   - TCP_DEFER_ACCEPT: Apache sets it after listen(), unicorn before that, uWSGI before
//     bind(); HAProxy clears it.
//   - SO_REUSEPORT: HAProxy and Caddy (its 127.0.0.1:2019 too) with one socket each,
//     nginx with reuseport one for each worker.
//   - Two sockets on one port, 0.0.0.0 and [::] with IPV6_V6ONLY: memcached and WEBrick.
//   - listen() again on the same socket: nginx, puma (the second backlog is smaller).
//   - listen() in other processes than bind(): uvicorn with workers, each of them.
//   - The one that binds closes the socket, its children keep it: HAProxy's master.
//   - The uid of those that accept is another: nginx, Apache, php-fpm as root. The one
//     that binds has changed its own before, without an exec: memcached -u.
//   - MPTCP: Go from 1.24 on.
//
// None registers its socket with an epoll before bind(), none uses io_uring.
var zooServers = []zooServer{
	{
		name: "go", command: []string{"/fixture", "http"}, protocol: "http",
		stop: "TERM", rude: "INT", rudeCode: 130,
		sockets: "tcp6",
	},
	{
		name: "python", command: []string{"python3", "-m", "http.server", "8080", "--directory", "/zoo/www"}, protocol: "http",
		rude: "TERM", rudeCode: 143,
		sockets: "tcp",
	},
	{
		name: "node", command: []string{"node", "/zoo/http.js"}, protocol: "http",
		stop: "TERM", rude: "INT", rudeCode: 130,
		sockets: "tcp6",
	},
	{
		name: "node-cluster", command: []string{"node", "/zoo/cluster.js"}, protocol: "http",
		stop: "TERM", rude: "INT", rudeCode: 130,
		sockets: "tcp6",
	},
	{
		name: "nginx", command: []string{"nginx", "-c", "/zoo/nginx/web.conf", "-g", "daemon off;"}, protocol: "http",
		stop: "QUIT", rude: "TERM",
		tmpfs: "/tmp", sockets: "tcp",
	},
	{
		name: "nginx-reuseport", command: []string{"nginx", "-c", "/zoo/nginx/reuseport.conf", "-g", "daemon off;"}, protocol: "http",
		stop: "QUIT", rude: "TERM",
		tmpfs: "/tmp", sockets: "tcp tcp",
	},
	{
		name: "apache-prefork", command: []string{"apache2", "-f", "/zoo/apache.conf", "-D", "FOREGROUND", "-D", "prefork", "-c", apachePid}, protocol: "http",
		stop: "WINCH", rude: "TERM",
		tmpfs: "/tmp", sockets: "tcp", ipv6: "tcp6",
	},
	{
		name: "apache-event", command: []string{"apache2", "-f", "/zoo/apache.conf", "-D", "FOREGROUND", "-D", "event", "-c", apachePid}, protocol: "http",
		stop: "WINCH", rude: "TERM",
		tmpfs: "/tmp", sockets: "tcp", ipv6: "tcp6",
	},
	{
		name: "lighttpd", command: []string{"lighttpd", "-D", "-f", "/zoo/lighttpd.conf"}, protocol: "http",
		stop: "INT", rude: "TERM",
		sockets: "tcp",
	},
	{
		name: "haproxy", command: []string{"haproxy", "-W", "-db", "-f", "/zoo/haproxy.cfg"}, protocol: "http",
		stop: "USR1", rude: "TERM",
		sockets: "tcp",
	},
	{
		name: "caddy", command: []string{"caddy", "run", "--config", "/zoo/Caddyfile", "--adapter", "caddyfile"}, protocol: "http",
		stop: "TERM", rude: "QUIT", rudeCode: 2,
		sockets: "tcp6", ports: "2019",
	},
	{
		name: "gunicorn", command: []string{"gunicorn", "--workers", "2", "--bind", ":8080", "app:application"}, protocol: "http",
		stop: "TERM", rude: "INT",
		tmpfs: "/tmp", sockets: "tcp", early: true,
	},
	{
		name: "uvicorn", command: []string{"uvicorn", "--host", "0.0.0.0", "--port", "8080", "app:asgi"}, protocol: "http",
		stop: "TERM", rude: "QUIT", rudeCode: 131,
		sockets: "tcp",
	},
	{
		name: "uvicorn-workers", command: []string{"uvicorn", "--host", "0.0.0.0", "--port", "8080", "--workers", "2", "app:asgi"}, protocol: "http",
		stop: "TERM", rude: "QUIT", rudeCode: 131,
		sockets: "tcp",
	},
	{
		name: "uwsgi", command: []string{"uwsgi", "--ini", "/zoo/uwsgi.ini"}, protocol: "http",
		stop: "TERM", rude: "INT", settings: []string{"SWAPINIT_EXPORT="},
		sockets: "tcp", early: true,
	},
	{
		name: "puma", command: []string{"puma", "--bind", "tcp://0.0.0.0:8080", "/zoo/config.ru"}, protocol: "http",
		stop: "TERM", stopCode: 143, rude: "QUIT", rudeCode: 131,
		sockets: "tcp",
	},
	{
		name: "puma-cluster", command: []string{"puma", "--bind", "tcp://0.0.0.0:8080", "--workers", "2", "/zoo/config.ru"}, protocol: "http",
		stop: "TERM", stopCode: 143, rude: "QUIT", rudeCode: 131,
		sockets: "tcp", early: true,
	},
	{
		name: "unicorn", command: []string{"unicorn", "--port", "8080", "/zoo/config.ru"}, protocol: "http",
		stop: "QUIT", rude: "TERM",
		sockets: "tcp", early: true,
	},
	{
		name: "webrick", command: []string{"ruby", "-run", "-e", "httpd", "/zoo/www", "--port", "8080"}, protocol: "http",
		stop: "TERM", rude: "USR1", rudeCode: 138,
		sockets: "tcp tcp6",
	},
	{
		// A shell script that starts php-fpm and becomes nginx, which passes on to it.
		name: "php-fpm", command: []string{"/zoo/php-fpm.sh"}, protocol: "http",
		stop: "QUIT", rude: "TERM",
		tmpfs: "/tmp", sockets: "tcp", ports: "9000",
		settings: []string{"SWAPINIT_ADOPT=on"}, // 9000 is php-fpm's
	},
	{
		name: "php", command: []string{"php", "-S", "0.0.0.0:8080", "/zoo/index.php"}, protocol: "http",
		rude: "TERM", rudeCode: 143,
		tmpfs: "/tmp", sockets: "tcp",
	},
	{
		name: "java", command: []string{"java", "-cp", "/zoo", "Zoo"}, protocol: "http",
		stop: "TERM", stopCode: 143,
		sockets: "tcp", ipv6: "tcp6",
	},
	{
		name: "tomcat", command: []string{"/usr/share/tomcat10/bin/catalina.sh", "run"}, protocol: "http",
		env:  []string{"CATALINA_BASE=/zoo/tomcat", "CATALINA_TMPDIR=/tmp"},
		stop: "TERM", stopCode: 143,
		sockets: "tcp", ipv6: "tcp6",
	},
	{
		name: "jetty", command: []string{"java", "-jar", "/usr/share/jetty9/start.jar", "jetty.home=/usr/share/jetty9", "jetty.base=/zoo/jetty"}, protocol: "http",
		stop: "TERM", stopCode: 143,
		tmpfs: "/tmp", sockets: "tcp", ipv6: "tcp6",
	},
	{
		name: "redis", command: []string{"redis-server", "--port", "8080", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", "/tmp"}, protocol: "redis",
		rude:    "TERM",
		sockets: "tcp",
	},
	{
		name: "memcached", command: []string{"memcached", "-p", "8080", "-U", "0"}, protocol: "memcached",
		rude: "TERM",
		only: "1000", sockets: "tcp tcp6",
	},
	{
		name: "memcached-setuid", command: []string{"memcached", "-p", "8080", "-U", "0", "-u", "nobody"}, protocol: "memcached",
		rude: "TERM",
		only: "root", sockets: "tcp tcp6",
	},
	{
		name: "postgres", command: []string{"/usr/lib/postgresql/15/bin/postgres", "-D", "/zoo/postgres", "-p", "8080", "-h", "0.0.0.0", "-k", "/tmp"}, protocol: "postgres",
		stop: "TERM", rude: "QUIT",
		only: "1000", writable: true, sockets: "tcp",
	},
	{
		name: "postgres-gosu", command: []string{"gosu", "zoo", "/usr/lib/postgresql/15/bin/postgres", "-D", "/zoo/postgres", "-p", "8080", "-h", "0.0.0.0", "-k", "/tmp"}, protocol: "postgres",
		stop: "TERM", rude: "QUIT",
		only: "root", writable: true, sockets: "tcp",
	},
}

// zooRun starts a server with something before its command, such as /swapinit --, and
// more for docker run. swapinit and the fixture are mounted: a step of a Dockerfile takes
// a minute with an image of this size.
func zooRun(t *testing.T, s zooServer, prefix []string, run ...string) *dockerContainer {
	t.Helper()
	image := dockerBase(t, "zoo")
	binaries, err := dockerBinaries()
	if err != nil {
		t.Fatal(err)
	}
	command := append(append([]string{}, prefix...), s.command...)
	args := append([]string{"-w", "/zoo", "-v", binaries + "/swapinit:/swapinit:ro", "-v", binaries + "/fixture:/fixture:ro",
		// Java starts in half the time: these servers live for seconds.
		"-e", "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}, run...)
	for _, e := range s.env {
		args = append(args, "-e", e)
	}
	args = append(args, "--entrypoint", command[0], image)
	return dockerRun(t, append(args, command[1:]...)...)
}

// hardened is for docker run: nothing that the server does not need. What runs as root
// only becomes another user, and needs the right to.
func (s zooServer) hardened() []string {
	var run []string
	if s.only != "root" {
		run = append(run, "--user", "1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
	}
	if !s.writable {
		run = append(run, "--read-only")
	}
	if s.tmpfs != "" {
		run = append(run, "--tmpfs", s.tmpfs)
	}
	return run
}

// zooAnswers waits until the server gives a good answer.
func (c *dockerContainer) zooAnswers(s zooServer) {
	c.t.Helper()
	c.exec("/fixture", "ask", "-protocol", s.protocol)
}

// zooSockets are the tables that show a socket which listens on 8080, once for each.
func (c *dockerContainer) zooSockets() string {
	c.t.Helper()
	var all []string
	for _, table := range []string{"tcp", "tcp6"} {
		r := c.try("cat", "/proc/net/"+table)
		if r.Code != 0 {
			continue // a kernel without IPv6
		}
		for line := range strings.Lines(r.Stdout) {
			fields := strings.Fields(line)
			if len(fields) > 3 && strings.HasSuffix(fields[1], ":1F90") && fields[3] == "0A" {
				all = append(all, table)
			}
		}
	}
	return strings.Join(all, " ")
}

// Without swapinit each server does what the table says of it: it answers, on sockets of
// that family, and ends with that status.
func TestZooServers(t *testing.T) {
	t.Parallel()
	const ipv6 = "net.ipv6.conf.all.disable_ipv6="
	for _, s := range zooServers {
		if !often("ends " + s.name) {
			continue
		}
		if s.only != "1000" {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				signal, code := s.stop, s.stopCode
				if signal == "" {
					signal, code = s.rude, s.rudeCode
				}
				s.ends(t, s.sockets, signal, code, "--sysctl", ipv6+"1")
			})
		}
		t.Run(s.name+" hardened", func(t *testing.T) {
			t.Parallel()
			signal, code := s.rude, s.rudeCode
			if signal == "" {
				signal, code = "KILL", 137
			}
			s.ends(t, cmp.Or(s.ipv6, s.sockets), signal, code, append(s.hardened(), "--sysctl", ipv6+"0")...)
		})
	}
}

// ends runs the server until a signal ends it.
func (s zooServer) ends(t *testing.T, sockets, signal string, code int, run ...string) {
	t.Helper()
	c := zooRun(t, s, []string{"tini", "--"}, run...)
	c.zooAnswers(s)
	if got := c.zooSockets(); got != sockets {
		t.Errorf("its sockets are %q, want %q", got, sockets)
	}
	docker(t, "kill", "-s", signal, c.id)
	if got := c.wait(); got != code {
		t.Errorf("exit status %d after %s, want %d", got, signal, code)
	}
}

// Some accept connections before there is anybody who could answer.
func TestZooEarly(t *testing.T) {
	t.Parallel()
	for _, s := range zooServers {
		if !s.early {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := zooRun(t, s, []string{"tini", "--"}, "-e", "ZOO_LOAD=3600")
			dockerEventually(t, "it listens", func() bool { return c.zooSockets() != "" })
		})
	}
}
