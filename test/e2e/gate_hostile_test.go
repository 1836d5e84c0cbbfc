package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whatever comes to the gate's socket harms nobody: members serve, join and take over.
func TestGateHostile(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", nil)
	l := g.load()
	from(t, l, "a", 20)
	dial := func() net.Conn {
		conn, err := net.Dial("unix", g.socket())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	noise := make([]byte, 1<<16)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	hello := `{"v":1,"kind":"hello","min":1,"max":1,"container":"%s","release":"r","life":"1"}` + "\n"
	for _, text := range []string{
		string(noise), strings.Repeat("x", 1<<20), "\n\n\n", "{}\n", "{\"v\":99,\"kind\":\"hello\"}\n", "[1,2,3]\n", strings.Repeat("[", 1<<15) + "\n",
		`{"v":1,"kind":"call","id":1,"op":"ask","generation":1,"share":10000}` + "\n",
		`{"v":1,"kind":"hello","min":7,"max":9,"container":"x","life":"1"}` + "\n",
		fmt.Sprintf(hello, "a"), // as somebody else
		`{"v":1,"kind":"hello","fds":200}` + "\n",
	} {
		conn := dial()
		_, _ = io.WriteString(conn, text) // it may be cut off at any time
	}
	for range 100 { // that say nothing
		dial()
	}
	// One that joins, and then lies and floods without reading.
	liar := dial()
	_, _ = fmt.Fprintf(liar, hello, "liar")
	g.awaitGate("the liar", func(s *gateStatus) bool { return s.of("liar").Connected })
	_ = liar.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for n := 1; n < 20000; n++ {
		op := []string{"aim", "leave", "look", "took", "settled", "leaving", "rollback", "done", "nonsense", "counts", "sleep"}[n%11]
		line := fmt.Sprintf(`{"v":1,"kind":"call","id":%d,"op":"%s","endpoint":"web","generation":%d,"share":10000}`+"\n", n, op, n%5)
		if _, err := io.WriteString(liar, line); err != nil {
			break
		}
	}
	g.onlyFrom("a")
	g.member("b", nil)
	g.wait("b")
	from(t, l, "b", 20)
	g.onlyFrom("b")
	g.lossless(l, "a", "b")
}

// What the server of a member does to its socket: it cannot attach another program, one
// that it detaches comes back, and a socket that it shuts down still accepts connections.
func TestGateHostileServer(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	g.first("a", []string{"SWAPINIT_KEEP=1h"})
	b := g.member("b", nil)
	g.wait("b")
	if text, err := g.host.tryGet("/do?act=attach"); err == nil || !strings.Contains(err.Error(), "not permitted") {
		t.Errorf("attach: %q, %v, want EPERM", text, err)
	}
	g.onlyFrom("b")
	if _, err := g.host.tryGet("/do?act=detach"); err != nil {
		t.Fatalf("detach: %v", err)
	}
	g.look() // the gate looks at its sockets
	g.onlyFrom("b")
	g.host.do("shutdown", "")
	g.ask() // is not refused
	if r := b.Verb("swap"); r.Code != 0 {
		t.Fatalf("swap: %v", r)
	}
	g.onlyFrom("b")
}

// The gate's init reaps what comes to it.
func TestGateReaps(t *testing.T) {
	t.Parallel()
	g := startGate(t)
	for range 5 {
		if r := g.Exec("sh", "-c", "(sh -c 'sleep 0.01' &) ; (sleep 0.01 &)"); r.Code != 0 {
			t.Fatal(r)
		}
	}
	await(t, "orphans to be reaped", func() bool { return len(g.Procs()) == 1 })
	if g.Signal(syscall.SIGHUP); g.Verb("health").Code != 0 {
		t.Error("it does not survive HUP")
	}
}
