package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/test/load"
)

// bindingServers are all that a server may do when it is told to stop.
var bindingServers = append(stoppingServers[:len(stoppingServers):len(stoppingServers)], []struct {
	name       string
	flags, env []string
}{
	{"finishes", nil, nil},
	{"shuts its listener down", []string{"-stop", "shut"}, nil},
}...)

// plain makes a name for a subtest of addresses: a slash would divide it.
func plain(addresses string) string { return strings.ReplaceAll(addresses, "://", " ") }

// manySwaps swaps under load, five times, and fails unless nothing is lost and
// each generation has served each address.
func (c *container) manySwaps(addresses []string, args ...string) {
	c.t.Helper()
	var loads []*load.Load
	for _, address := range addresses {
		loads = append(loads, c.loadOn("tcp", address))
	}
	const last = 6
	for n := 2; n <= last; n++ {
		for _, l := range loads {
			moreRequests(c.t, l, 40)
		}
		c.Swap(args...)
		for _, address := range addresses {
			if got, want := c.ask1("tcp", address), fmt.Sprintf("generation %d\n", n); got != want {
				c.t.Errorf("after the cut-over %s is answered by %q, want %q", address, got, want)
			}
		}
		c.awaitDrained(n - 1)
	}
	for i, l := range loads {
		count := noLoss(c.t, l)
		if len(count.Bodies) != last {
			c.t.Errorf("%s: answers from %d generations, want %d: %v", addresses[i], len(count.Bodies), last, count.Bodies)
		}
		c.t.Logf("%s: %d requests, %d failed, %d swaps", addresses[i], count.Requests, count.Failed, last-1)
	}
}

// The promise of adoption: a server that binds for itself loses nothing, whatever it
// binds and whatever it does when it is told to stop.
func TestAdoptLosesNothing(t *testing.T) {
	const v4, v6 = web, "[::1]:8080"
	type network struct {
		listen    string
		binds     []string
		addresses []string
	}
	any4, any6, local := "tcp4://0.0.0.0:8080", "tcp6://[::]:8080?v6only=0", bindWeb
	nginx := []string{any4, "tcp6://[::]:8080?v6only=1"}
	main := []network{
		{":8080", []string{any4}, []string{v4}},
		{":8080", []string{any6}, []string{v4, v6}},
		{":8080", nginx, []string{v4, v6}},
		{"tcp://127.0.0.1:8080", []string{local}, []string{v4}},
	}
	others := []network{
		{":8080", []string{local}, []string{v4}},
		{":8080", []string{"mptcp4://0.0.0.0:8080"}, []string{v4}},
		{":8080", []string{"tcp4://0.0.0.0:8080?defer"}, []string{v4}},
		{"tcp://127.0.0.1:8080", []string{any4}, []string{v4}},
		{"tcp://127.0.0.1:8080", []string{any6}, []string{v4}},
		{"tcp://0.0.0.0:8080", []string{any4}, []string{v4}},
		{"tcp://0.0.0.0:8080", []string{any6}, []string{v4}},
		{"tcp://0.0.0.0:8080", []string{local}, []string{v4}},
		{"tcp6://[::]:8080", []string{any6}, []string{v6}},
		{"tcp6://[::]:8080", []string{"tcp6://[::]:8080?v6only=1"}, []string{v6}},
	}
	for _, server := range bindingServers {
		networks := main
		if server.name == "dies at once" {
			networks = append(networks[:len(networks):len(networks)], others...)
		}
		for _, n := range networks {
			t.Run(fmt.Sprintf("%s, %s on %s", server.name, plain(strings.Join(n.binds, " and ")), plain(n.listen)), func(t *testing.T) {
				t.Parallel()
				o := opts{Env: append(server.env, "SWAPINIT_LISTEN="+n.listen, manyGenerations)}
				c := startBinding(t, o, n.binds, append(server.flags, "-work", "5ms")...)
				c.manySwaps(n.addresses)
				c.wantAdopted(1)
				if e := c.endpoint(0); !*e.Steered {
					t.Errorf("not steered: %s", e.Reason)
				}
				if lines := linesWith(c.Stderr(), "for itself"); len(lines) > 0 {
					t.Errorf("not adopted: %q", lines)
				}
			})
		}
	}
}

// Servers as they are, in other languages.
func TestAdoptUnmodifiedServers(t *testing.T) {
	for _, tc := range []struct {
		program string
		args    []string
	}{
		{"node", []string{"-e", `require('http').createServer((q, r) => r.end('generation ' + process.env.SWAPINIT_GENERATION + '\n')).listen(8080)`}},
		{"python3", []string{"-c", `
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ('generation ' + os.environ['SWAPINIT_GENERATION'] + '\n').encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()`}},
	} {
		t.Run(tc.program, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(tc.program)
			if err != nil {
				skip(t, tc.program, "it is not installed")
			}
			c := start(t, opts{Env: append(webEnv("SWAPINIT_LISTEN=:8080", manyGenerations), "SWAPINIT_STEER=require", "SWAPINIT_DRAIN_TIMEOUT=1h", "SWAPINIT_IDLE_AFTER=1h"),
				Args: append([]string{path}, tc.args...)})
			c.awaitHealthy()
			c.manySwaps([]string{web})
			c.wantAdopted(1)
		})
	}
}
