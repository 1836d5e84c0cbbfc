package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/swapinit/swapinit/test/e2e/ns"
	"golang.org/x/sys/unix"
)

// refuses fails unless the gate ends with 125 and one line that has these words.
func (g *gateway) refuses(c *container, words ...string) {
	c.t.Helper()
	c.wantStatus(125)
	oneLine(c.t, c.Stderr(), words...)
}

func TestGateSecond(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	g.refuses(g.try("SWAPINIT_LISTEN=tcp://127.0.0.1:9090"), "another gate is running at "+g.socket())
	g.onlyFrom("a")
}

func TestGateRefusedSettings(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.refuses(g.try("SWAPINIT_LISTEN=udp://127.0.0.1:53"), "udp://127.0.0.1:53", "a gate cannot have yet")
	g.refuses(g.try("SWAPINIT_LISTEN="), "SWAPINIT_LISTEN")
	m := g.member("a", []string{"SWAPINIT_LISTEN=:8080"})
	g.refuses(m, "SWAPINIT_LISTEN", "SWAPINIT_GATE")
}

// What a gate that was killed has left, and what somebody else has.
func TestGateStaleSocket(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.begin()
	_ = g.box.Signal(syscall.SIGKILL)
	receive(t, "its end", g.box.Done())
	if _, err := os.Lstat(g.socket()); err != nil {
		t.Fatalf("the socket of a gate that was killed: %v", err)
	}
	g.begin()
	g.first("a", nil)
	g.onlyFrom("a")
}

func TestGateStateFile(t *testing.T) {
	t.Run("corrupt", func(t *testing.T) {
		t.Parallel()
		g := startGate(t)
		a := g.first("a", nil)
		g.member("b", nil)
		g.wait("b")
		g.awaitState("a", "retired")
		l := g.load()
		g.stop()
		write(t, g.socket()+".state", "{\"v\":1,")
		g.begin()
		g.awaitLine("state")
		g.awaitHolder("b") // it says so itself
		g.awaitGate("a to be back", func(s *gateStatus) bool { return s.of("a").Connected })
		g.onlyFrom("b")
		a.wantNever("gen 2")
		g.lossless(l, "b")
	})
	t.Run("newer", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t)
		name := write(t, g.socket()+".state", "{\"v\":99}\n")
		g.refuses(g.try(), "newer version", name)
		if read(name) != "{\"v\":99}\n" {
			t.Error("it was touched")
		}
	})
	// The gate cannot write: nothing moves, and it says why.
	t.Run("cannot be written", func(t *testing.T) {
		t.Parallel()
		needUser(t, 1000)
		g := newGateway(t)
		g.container = nil
		o := opts{Early: true, Args: []string{"gate"}, Env: append(g.env, "SWAPINIT_GATE_ALLOW=any")}
		o.Network, o.Name, o.Uid = g.host.box, "gate", 1000
		g.container = start(t, o)
		g.awaitHealthy()
		a := g.first("a", nil)
		if err := os.Chmod(g.volume, 0o555); err != nil {
			t.Fatal(err)
		}
		l := g.load()
		b := g.member("b", nil)
		b.awaitOut("gen 1: ready")
		from(t, l, "a", 50)
		g.awaitGate("b not to hold", func(s *gateStatus) bool { return s.Gate.Holder == "a" })
		if err := os.Chmod(g.volume, 0o777); err != nil {
			t.Fatal(err)
		}
		a.wantNever("gen 1: got")
		g.lossless(l, "a")
	})
}

// Members may have the volume read-only, and without the right to execute.
func TestGateVolumeReadOnly(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	ro := ns.Config{Mounts: []ns.Mount{
		{Source: g.volume, Target: g.volume, Flags: unix.MS_BIND},
		{Source: "", Target: g.volume, Flags: unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOEXEC | unix.MS_NOSUID},
	}}
	g.memberWith(opts{Config: ro}, "a", "-say", "a")
	g.wait("a")
	g.onlyFrom("a")
	g.memberWith(opts{Config: ro}, "b", "-say", "b")
	g.wait("b")
	g.onlyFrom("b")
	// The gate's own program is there for images that do not have it.
	program := filepath.Join(g.volume, "swapinit")
	if st, err := os.Stat(program); err != nil || st.Mode().Perm()&0o111 == 0 {
		t.Errorf("the copy of the program: %v, %v", st, err)
	}
	g.memberWith(opts{Program: program}, "c", "-say", "c")
	g.wait("c")
	g.onlyFrom("c")
}

func TestGateUsers(t *testing.T) {
	t.Parallel()
	needUser(t, 1000)
	g := startGate(t)
	member := func(name string) *container {
		return g.memberWith(opts{Config: ns.Config{Uid: 1000}, Env: []string{"SWAPINIT_READY_TIMEOUT=10s"}}, name, "-say", name)
	}
	g.refuses(member("a"), "uid 1000 may not join", "SWAPINIT_GATE_ALLOW=1000")
	g.awaitLine("turned away uid 1000")
	g.stop()
	g.env = append(g.env, "SWAPINIT_GATE_ALLOW=999,1000")
	g.begin()
	member("b")
	g.wait("b")
	g.onlyFrom("b")
}

// A gate that is not there is waited for.
func TestGateNotThere(t *testing.T) {
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t)
		g.refuses(g.member("a", []string{"SWAPINIT_READY_TIMEOUT=100ms"}), g.socket(), "100ms")
	})
	t.Run("stopped meanwhile", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t)
		a := g.member("a", nil)
		await(t, "it to handle signals", func() bool { return a.ended() || a.catches(syscall.SIGCONT) })
		a.Signal(sigTERM)
		a.wantStatus(143)
		if strings.Contains(a.Stdout(), "started") {
			t.Error("it started its server")
		}
	})
	t.Run("comes later", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t)
		g.member("a", nil)
		g.begin()
		g.wait("a")
		g.onlyFrom("a")
	})
}
