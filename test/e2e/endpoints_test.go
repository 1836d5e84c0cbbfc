package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a child is told about its sockets, in every dialect.
func TestChildEnvironment(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	sock := filepath.Join(dir, "a.sock")
	stale := []string{"LISTEN_FDS=9", "LISTEN_PID=77", "LISTEN_FDNAMES=x", "LISTEN_PIDFDID=3", "NOTIFY_SOCKET=/stale", "WATCHDOG_USEC=1", "WATCHDOG_PID=1",
		"SERVER_STARTER_PORT=1=9", "EINHORN_FD_COUNT=9", "EINHORN_FD_8=8", "EINHORN_MASTER_PID=9", "KEPT=yes"}
	c := startWeb(t, opts{Env: append(stale, "SWAPINIT_LISTEN=web=tcp://"+web+" :8081,unix://"+sock+"?mode=0640")})
	s := c.state()
	want := map[string]string{
		"LISTEN_FDS": "3", "LISTEN_PID": fmt.Sprint(s.Pid), "LISTEN_FDNAMES": "web:8081:a.sock",
		"SERVER_STARTER_PORT": web + "=3;8081=4;" + sock + "=5", "SERVER_STARTER_GENERATION": "1",
		"EINHORN_FD_0": "3", "EINHORN_FD_1": "4", "EINHORN_FD_2": "5", "EINHORN_FD_COUNT": "3", "EINHORN_MASTER_PID": "1",
		"SWAPINIT_GENERATION": "1", "KEPT": "yes",
	}
	for name, value := range want {
		if got, _ := s.env(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	for _, name := range []string{"LISTEN_PIDFDID", "WATCHDOG_USEC", "WATCHDOG_PID", "EINHORN_FD_8", "SWAPINIT_LISTEN", "SWAPINIT_SETTLE"} {
		if got, set := s.env(name); set {
			t.Errorf("%s is set: %q", name, got)
		}
	}
	if got, _ := s.env("NOTIFY_SOCKET"); got == "/stale" || got == "" {
		t.Errorf("NOTIFY_SOCKET is %q", got)
	}
	for fd, target := range s.Fds {
		pipe, channel := fmt.Sprint(fd) == mustEnv(s, "SWAPINIT_READY_FD"), fmt.Sprint(fd) == mustEnv(s, "SWAPINIT_CHANNEL_FD")
		switch {
		case fd <= 2, pipe && strings.HasPrefix(target, "pipe:"), (channel || fd >= 3 && fd <= 5) && strings.HasPrefix(target, "socket:"):
		default:
			t.Errorf("fd %d is %s", fd, target)
		}
	}
	root := fmt.Sprintf("/proc/%d/root", c.box.Pid())
	if st, err := os.Stat(root + sock); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("the Unix endpoint: %v %v", st, err)
	}

	c.Swap()
	c.awaitStates("2:active")
	s = c.state()
	for name, value := range map[string]string{"SERVER_STARTER_GENERATION": "2", "SWAPINIT_GENERATION": "2", "LISTEN_PID": fmt.Sprint(s.Pid), "LISTEN_FDNAMES": "web:8081:a.sock"} {
		if got, _ := s.env(name); got != value {
			t.Errorf("successor: %s is %q, want %q", name, got, value)
		}
	}
	for _, address := range [][2]string{{"tcp", web}, {"tcp", "127.0.0.1:8081"}, {"tcp", "[::1]:8081"}, {"unix", sock}} {
		if got := c.ask1(address[0], address[1]); !strings.Contains(got, "generation 2") {
			t.Errorf("%s answers %q", address[1], got)
		}
	}
	c.Signal(syscall.SIGTERM)
	c.wantStatus(0)
	if _, err := os.Lstat(sock); !os.IsNotExist(err) {
		t.Errorf("the Unix endpoint is left behind: %v", err)
	}
}

func mustEnv(s processState, name string) string {
	value, _ := s.env(name)
	return value
}

// ask1 sends one request to any address of the container.
func (c *container) ask1(network, address string) string {
	c.t.Helper()
	return c.askFrom(nil, network, address)
}

// askFrom is ask1 from an address; nil: any.
func (c *container) askFrom(local net.Addr, network, address string) string {
	var conn net.Conn
	err := c.box.InNetwork(func() (err error) {
		conn, err = (&net.Dialer{LocalAddr: local}).DialContext(c.t.Context(), network, address)
		return err
	})
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return err.Error()
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

// Without endpoints there is nothing to announce.
func TestChildEnvironmentWithoutEndpoints(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Args: []string{binary(t, "server"), "state"}})
	c.wantStatus(0)
	s := parseState(t, c.Stdout())
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "SERVER_STARTER_PORT", "EINHORN_FD_COUNT"} {
		if got, set := s.env(name); set {
			t.Errorf("%s is set: %q", name, got)
		}
	}
	if mustEnv(s, "SWAPINIT_GENERATION") != "1" || !strings.HasPrefix(mustEnv(s, "SWAPINIT_CONTROL"), "@swapinit/") {
		t.Errorf("environment %q", s.Env)
	}
}

func TestExport(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  map[string]bool
	}{
		{"systemd", map[string]bool{"LISTEN_FDS": true, "SERVER_STARTER_PORT": false, "EINHORN_FD_0": false}},
		{"server-starter", map[string]bool{"LISTEN_FDS": false, "SERVER_STARTER_PORT": true, "EINHORN_FD_0": false}},
		{"einhorn", map[string]bool{"LISTEN_FDS": false, "SERVER_STARTER_PORT": false, "EINHORN_FD_0": true}},
		{"systemd einhorn", map[string]bool{"LISTEN_FDS": true, "SERVER_STARTER_PORT": false, "EINHORN_FD_0": true}},
		{"", map[string]bool{"LISTEN_FDS": false, "SERVER_STARTER_PORT": false, "EINHORN_FD_0": false}},
	} {
		t.Run(tc.value, func(t *testing.T) {
			t.Parallel()
			c := start(t, opts{Env: webEnv("SWAPINIT_EXPORT=" + tc.value), Args: []string{binary(t, "server"), "state"}})
			c.wantStatus(0)
			s := parseState(t, c.Stdout())
			for name, want := range tc.want {
				if _, set := s.env(name); set != want {
					t.Errorf("%s set: %t, want %t", name, set, want)
				}
			}
			if !strings.HasPrefix(s.Fds[3], "socket:") {
				t.Errorf("fd 3 is %q", s.Fds[3])
			}
		})
	}
}

// A server of each dialect serves, and is swapped.
func TestDialects(t *testing.T) {
	for _, tc := range []struct{ name, export, query string }{
		{"systemd", "systemd", ""}, {"starter", "server-starter", ""}, {"einhorn", "einhorn", ""}, {"stdin", "", "?fd=0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := startWeb(t, opts{Env: []string{"SWAPINIT_EXPORT=" + tc.export, "SWAPINIT_LISTEN=tcp://" + web + tc.query}}, "-from", tc.name)
			l := c.load()
			moreRequests(t, l, 20)
			c.Swap()
			c.awaitStates("2:active")
			moreRequests(t, l, 20)
			noLoss(t, l)
			c.wantServing(2)
		})
	}
}

// fd=0 puts an endpoint on standard input and outside of LISTEN_FDS.
func TestEndpointOnStdin(t *testing.T) {
	t.Parallel()
	c := start(t, opts{Env: []string{"SWAPINIT_LISTEN=a=tcp://127.0.0.1:8081 b=tcp://" + web + "?fd=0 c=tcp://127.0.0.1:8082"},
		Args: []string{binary(t, "server"), "state"}})
	c.wantStatus(0)
	s := parseState(t, c.Stdout())
	if !strings.HasPrefix(s.Fds[0], "socket:") || mustEnv(s, "LISTEN_FDS") != "2" || mustEnv(s, "LISTEN_FDNAMES") != "a:c" {
		t.Errorf("fd 0 is %q, LISTEN_FDS=%s LISTEN_FDNAMES=%s", s.Fds[0], mustEnv(s, "LISTEN_FDS"), mustEnv(s, "LISTEN_FDNAMES"))
	}
}

// {fd.NAME} and {generation}, in arguments and in values of the environment.
func TestTemplates(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"NGINX={fd.web};", "WHICH=g{generation}", "OTHER={\"json\": {}}", `SHELL_S=${generation} \{fd.web}`}}, "-say", "{fd.web} of {generation} {unknown} ${fd.nobody}")
	want := func(generation string) {
		t.Helper()
		s := c.state()
		for name, value := range map[string]string{"NGINX": "3;", "WHICH": "g" + generation, "OTHER": "{\"json\": {}}", "SHELL_S": "${generation} {fd.web}"} {
			if got, _ := s.env(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
		if got := s.Args[len(s.Args)-1]; got != "3 of "+generation+" {unknown} ${fd.nobody}" {
			t.Errorf("argument %q", got)
		}
	}
	want("1")
	c.Swap()
	c.awaitStates("2:active")
	want("2")
}

// Sockets that swapinit was itself given come first; every other fd is closed.
func TestInheritedSockets(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stray, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer stray.Close()
	o := opts{Env: webEnv("LISTEN_FDS=1", "LISTEN_FDNAMES=given"), Args: server(t, "-gate", "/")}
	o.ListenPid, o.Files = true, []*os.File{file, stray, stray}
	c := start(t, o)
	c.awaitOut("gen 1: ready")
	ask := func() processState {
		t.Helper()
		// The given socket belongs to this network namespace, not to the container's.
		answer, err := http.Get("http://" + l.Addr().String() + "/state")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		http.DefaultClient.CloseIdleConnections()
		return parseState(t, string(text))
	}
	s := ask()
	if got := mustEnv(s, "LISTEN_FDNAMES"); got != "given:web" {
		t.Errorf("LISTEN_FDNAMES is %q", got)
	}
	for fd, target := range s.Fds {
		if strings.Contains(target, "passwd") {
			t.Errorf("fd %d is %s", fd, target)
		}
	}
	own, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.box.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range own {
		if target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", c.box.Pid(), e.Name())); strings.Contains(target, "passwd") {
			t.Errorf("swapinit keeps %s open", target)
		}
	}
	c.Swap()
	c.awaitStates("2:active")
	if got := mustEnv(ask(), "SWAPINIT_GENERATION"); got != "2" {
		t.Errorf("the given socket is served by generation %s", got)
	}
	c.wantServing(2)
}

// LISTEN_FDS for somebody else is not ours.
func TestSocketsOfAnotherPidAreIgnored(t *testing.T) {
	t.Parallel()
	o := opts{Env: webEnv("LISTEN_FDS=1", "LISTEN_PID=4711"), Args: []string{binary(t, "server"), "state"}}
	c := start(t, o)
	c.wantStatus(0)
	if got := mustEnv(parseState(t, c.Stdout()), "LISTEN_FDNAMES"); got != "web" {
		t.Errorf("LISTEN_FDNAMES is %q", got)
	}
}

// An endpoint that cannot be opened is swapinit's own error.
func TestEndpointInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	live := filepath.Join(tempDir(t), "live.sock")
	u, err := net.Listen("unix", live)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, address := range []string{"tcp://" + l.Addr().String(), "unix://" + live, "unix:///nonexistent/a.sock", "tcp://192.0.2.1:80"} {
		c := start(t, opts{Plain: true, Env: []string{"SWAPINIT_LISTEN=" + address}, Args: []string{"echo", "started"}})
		c.wantStatus(125)
		_, short, _ := strings.Cut(address, "://")
		oneLine(t, c.Stderr(), "swapinit: ", short)
		c.wantNever("started")
	}
	if _, err := net.Dial("unix", live); err != nil {
		t.Errorf("the live socket was taken away: %v", err)
	}
}

// A path that nobody listens on any more is replaced.
func TestStaleUnixPath(t *testing.T) {
	t.Parallel()
	stale := filepath.Join(tempDir(t), "stale.sock")
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	u.SetUnlinkOnClose(false)
	u.Close()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_LISTEN=unix://" + stale}})
	if got := c.ask1("unix", stale); !strings.Contains(got, "generation 1") {
		t.Errorf("answer %q", got)
	}
}

// Race 23. Datagrams are answered before, during and after a swap.
func TestDatagrams(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_LISTEN=dns=udp://127.0.0.1:5353"}})
	ping := func() string {
		t.Helper()
		conn, err := c.box.Dial(t.Context(), "udp", "127.0.0.1:5353")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(buf[:n]))
	}
	if got := ping(); got != "generation 1" {
		t.Errorf("answer %q", got)
	}
	c.Swap()
	c.awaitStates("2:active")
	if got := ping(); got != "generation 2" {
		t.Errorf("answer %q", got)
	}
}

// TCP endpoints are plain TCP with TCP_NODELAY, which accepted sockets
// inherit.
func TestSocketOptions(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{})
	pid := c.status().pidOf(1)
	for _, p := range c.Procs() {
		if p.Pid != pid {
			continue
		}
		pidfd, err := unix.PidfdOpen(p.Host, 0)
		if err != nil {
			t.Skip(err)
		}
		defer unix.Close(pidfd)
		fd, err := unix.PidfdGetfd(pidfd, 3, 0)
		if err != nil {
			skip(t, "namespaces", "pidfd_getfd: %v", err)
		}
		defer unix.Close(fd)
		for _, o := range []struct {
			name              string
			level, opt, value int
		}{
			{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, {"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
			{"SO_PROTOCOL", unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_TCP}, {"SO_ACCEPTCONN", unix.SOL_SOCKET, unix.SO_ACCEPTCONN, 1},
		} {
			if got, err := unix.GetsockoptInt(fd, o.level, o.opt); err != nil || got != o.value {
				t.Errorf("%s is %d (%v), want %d", o.name, got, err, o.value)
			}
		}
		return
	}
	t.Fatal("the server was not found")
}

// A script without a shebang runs under /bin/sh, as under execvp(3), also when
// the exec stage is in between.
func TestScriptWithoutShebang(t *testing.T) {
	t.Parallel()
	script := filepath.Join(tempDir(t), "script")
	write(t, script, "echo \"arguments $# $1 fds $LISTEN_FDS\"\nexit 6\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	c := start(t, opts{Args: []string{script, "a b"}})
	c.wantStatus(6)
	c.wantOrder("arguments 1 a b fds")
	c = start(t, opts{Env: webEnv(), Args: []string{script, "a b"}})
	c.wantStatus(6)
	c.wantOrder("arguments 1 a b fds 1")
}
