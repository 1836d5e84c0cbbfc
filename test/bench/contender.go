package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// behaviour is what a server does when it is told to go.
type behaviour struct {
	name     string
	graceful bool   // it has a handler for TERM
	signal   string // what it gets
}

var (
	graceful = behaviour{"finishes what it has accepted (net/http's Shutdown)", true, "TERM"}
	abrupt   = behaviour{"dies at once on TERM", false, "TERM"}
	killed   = behaviour{"is killed", false, "KILL"}
	itself   = behaviour{"nginx's own", true, ""} // not a server of ours
)

// kind is a way to replace a server.
type kind int

const (
	steered kind = iota
	adopted      // the server opens the port itself
	shared
	starter
	reuseport
	restarted
	nginx
	bare // no supervisor and no filter: not in the table
)

var kindNames = [...]string{"swapinit, steered", "swapinit, adopted (unmodified)", "swapinit, one shared socket", "start_server", "plain SO_REUSEPORT", "stopped, then started", "nginx's reload"}

// needs is the program that has to be installed for it.
func (k kind) needs() string {
	switch k {
	case starter:
		return "start_server"
	case nginx:
		return "nginx"
	}
	return ""
}

// contender is a supervisor with a server.
type contender struct {
	kind   kind
	server behaviour
	mode   string   // of web: serve by default
	work   string   // how long an answer takes: 5ms by default
	env    []string // more settings
	kept   bool     // a predecessor stays beside it, without traffic
}

// contenders are the rows of the table, in its order.
func contenders() (all []contender) {
	for k := steered; k < nginx; k++ {
		for _, s := range []behaviour{graceful, abrupt, killed} {
			all = append(all, contender{kind: k, server: s})
		}
	}
	return append(all, contender{kind: nginx, server: itself})
}

// reports: its servers connect to the bench. Those of nginx cannot.
func (c contender) reports() bool { return c.kind != nginx }

// command is what runs as PID 1, in folder nothing else is.
func (c contender) command(b *bench, folder string) (argv, env []string, err error) {
	mode, work := "serve", "5ms"
	if c.mode != "" {
		mode = c.mode
	}
	if c.work != "" {
		work = c.work
	}
	server := []string{b.web, mode}
	env = append([]string{"BENCH_WORK=" + work}, c.env...)
	if c.server.graceful {
		env = append(env, "BENCH_GRACEFUL=1")
	}
	program := ""
	if name := c.kind.needs(); name != "" {
		if program, err = find(name); err != nil {
			return nil, nil, err
		}
	}
	switch c.kind {
	case bare:
		return server, env, nil
	case steered, adopted, shared:
		env = append(env, "SWAPINIT_LISTEN=:"+port, "SWAPINIT_SETTLE=0", "SWAPINIT_LOG=error", "SWAPINIT_RETIRE_SIGNAL="+c.server.signal)
		env = append(env, map[kind][]string{
			steered: {"SWAPINIT_STEER=require", "SWAPINIT_ADOPT=off"},
			adopted: {"SWAPINIT_STEER=require"},
			shared:  {"SWAPINIT_STEER=off", "SWAPINIT_ADOPT=off"},
		}[c.kind]...)
		if c.kept {
			env = append(env, "SWAPINIT_KEEP=24h")
		}
		if c.kind == adopted && mode == "serve" {
			env = append(env, "BENCH_PLAIN=1") // swapinit has to see for itself that it is ready
		} else {
			env = append(env, "SWAPINIT_READY=fd")
		}
		return b.peers[0].argv(server...), env, nil
	case starter:
		// It knows no readiness: the new server has a second, its shortest time.
		env = append(env, "PERL5LIB="+os.Getenv("PERL5LIB"))
		return append([]string{program, "--port=" + address, "--interval=1", "--signal-on-hup=" + c.server.signal,
			"--log-file=/dev/null", "--"}, server...), env, nil
	case reuseport, restarted:
		mode := map[kind]string{reuseport: "reuseport", restarted: "restart"}[c.kind]
		return append([]string{b.web, mode, c.server.signal}, server...), env, nil
	}
	conf, socket := filepath.Join(folder, "conf"), filepath.Join(folder, "behind")
	err = os.WriteFile(conf, fmt.Appendf(nil, nginxConf, folder, socket, address), 0o644)
	return []string{b.web, "nginx", program, conf, socket}, env, err
}

// find looks where Debian puts a server too.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	return path, err
}

// nginxConf is the simplest that works as any user: the folder, the server
// behind it, and the address are to be filled in.
const nginxConf = `daemon off;
user root;
worker_processes 1;
pid %[1]s/pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	upstream behind { server unix:%[2]s; keepalive 64; }
	server {
		listen %[3]s;
		location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
}
`
