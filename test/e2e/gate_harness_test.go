package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

// gateway is a gate with its clients. Its network is that of host, a container without
// swapinit: so the gate can be started again in it, as on a host's network. Members have
// networks of their own, and share nothing with the gate but a directory.
type gateway struct {
	*container            // the gate of now
	host       *container // the clients
	volume     string
	env        []string
	refused    string // what its kernel refuses, see refusing
}

// startGate starts a gate with the endpoint web and waits until that is open.
func startGate(t *testing.T, env ...string) *gateway {
	t.Helper()
	g := newGateway(t, env...)
	g.begin()
	return g
}

// newGateway prepares one, without the gate.
func newGateway(t *testing.T, env ...string) *gateway {
	t.Helper()
	g := &gateway{host: startHost(t), volume: tempDir(t)}
	g.env = append([]string{"SWAPINIT_GATE=" + g.socket(), "SWAPINIT_LISTEN=web=tcp://" + web}, env...)
	return g
}

// startHost is a network with a process that keeps it.
func startHost(t *testing.T) *container {
	t.Helper()
	return start(t, opts{Bare: true, Args: []string{"/bin/sleep", "1000000"}})
}

func (g *gateway) socket() string { return filepath.Join(g.volume, "gate.sock") }

// begin starts the gate, again in the same network.
func (g *gateway) begin() {
	g.host.t.Helper()
	g.container = g.try()
	g.awaitHealthy()
}

// try starts a gate that may fail.
func (g *gateway) try(env ...string) *container {
	g.host.t.Helper()
	o := opts{}
	if g.refused != "" {
		o = refusing(g.host.t, g.refused)
	}
	o.Early, o.Args, o.Env = true, append(o.Args, "gate"), append(slices.Clone(g.env), env...)
	o.Network, o.Name = g.host.box, "gate"
	return start(g.host.t, o)
}

// stop ends the gate as an engine does, and waits for that.
func (g *gateway) stop() {
	g.t.Helper()
	g.Signal(sigTERM)
	g.wantStatus(0)
}

// restart is stop and begin.
func (g *gateway) restart() {
	g.t.Helper()
	g.stop()
	g.begin()
}

// member starts a container that joins, with its name as release and as what its server
// says after the generation. It does not wait. Drains end with their connections.
func (g *gateway) member(name string, env []string, flags ...string) *container {
	g.host.t.Helper()
	return g.memberWith(opts{Env: env}, name, append([]string{"-say", name}, flags...)...)
}

func (g *gateway) memberWith(o opts, name string, flags ...string) *container {
	t := g.host.t
	t.Helper()
	o.Env = append([]string{"SWAPINIT_GATE=" + g.socket(), "SWAPINIT_RELEASE=" + name, "SWAPINIT_SETTLE=0",
		"SWAPINIT_KEEP=0", "SWAPINIT_DRAIN_TIMEOUT=1s", "SWAPINIT_RETIRE_TIMEOUT=10m"}, o.Env...)
	o.Args = append(o.Args, server(t, flags...)...)
	o.Early, o.Name = true, name
	return start(t, o)
}

// first starts the member that holds.
func (g *gateway) first(name string, env []string, flags ...string) *container {
	g.host.t.Helper()
	c := g.member(name, env, flags...)
	g.awaitHolder(name)
	c.awaitHealthy()
	return c
}

// gateStatus is status --json at a gate.
type gateStatus struct {
	V     int  `json:"v"`
	Pid   int  `json:"pid"`
	Ready bool `json:"ready"`
	Gate  *struct {
		Epoch        int64        `json:"epoch"`
		Holder       string       `json:"holder"`
		Members      []gateMember `json:"members"`
		LastTakeover *struct {
			Container   string `json:"container"`
			Release     string `json:"release"`
			Predecessor string `json:"predecessor"`
			Reason      string `json:"reason"`
			Waited      *int   `json:"waited"`
			Drained     *int   `json:"drained"`
		} `json:"last_takeover"`
	} `json:"gate"`
	Endpoints  []json.RawMessage `json:"endpoints"`
	CanaryBy   string            `json:"canary_by"`
	OneAddress string            `json:"one_address"`
}

type gateMember struct {
	Container string   `json:"container"`
	Release   string   `json:"release"`
	Order     int      `json:"order"`
	State     string   `json:"state"`
	Reason    string   `json:"reason"`
	Connected bool     `json:"connected"`
	Settled   bool     `json:"settled"`
	Share     *float64 `json:"share"`
	Open      *int     `json:"open"`
	Idle      *int     `json:"idle"`
	Queued    *int     `json:"queued"`
}

func (g *gateway) look() gateStatus {
	g.t.Helper()
	r := g.Verb("status", "--json")
	var s gateStatus
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil || r.Code != 0 || s.Gate == nil {
		g.t.Fatalf("status --json at the gate: %v, %v", r, err)
	}
	return s
}

// of is a member, and a zero one that is not known.
func (s *gateStatus) of(name string) gateMember {
	for _, m := range s.Gate.Members {
		if m.Container == name {
			return m
		}
	}
	return gateMember{}
}

// states is "a:kept b:holder", by name.
func (s *gateStatus) states() string {
	var all []string
	for _, m := range s.Gate.Members {
		all = append(all, m.Container+":"+m.State)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// awaitGate polls until the gate's status is as wanted.
func (g *gateway) awaitGate(what string, want func(*gateStatus) bool) {
	g.t.Helper()
	var s gateStatus
	if !poll(func() bool { s = g.look(); return want(&s) }) {
		g.t.Fatalf("waited %v for %s; the gate has %s", patience, what, s.states())
	}
}

func (g *gateway) awaitHolder(name string) {
	g.t.Helper()
	g.awaitState(name, "holder")
}

func (g *gateway) awaitState(name, state string) {
	g.t.Helper()
	g.awaitGate(name+" to be "+state, func(s *gateStatus) bool { return s.of(name).State == state })
}

// wait runs the gate's verb wait and fails the test unless the member gets the traffic.
func (g *gateway) wait(name string) {
	g.t.Helper()
	if r := g.Verb("wait", name, "--timeout", patience.String()); r.Code != 0 {
		g.t.Fatalf("wait %s: %v; the log of the gate:\n%s", name, r, g.Stderr())
	}
}

// onlyFrom fails unless each of many new connections is answered by that member.
func (g *gateway) onlyFrom(name string) {
	g.t.Helper()
	for n := range 30 {
		if got := g.host.get("/"); !strings.HasSuffix(got, " "+name+"\n") {
			g.t.Fatalf("connection %d was answered by %q, want %s", n, got, name)
		}
	}
}

// load sends requests from the clients' network, on new connections and on kept ones.
func (g *gateway) load() *load.Load {
	return load.Start(load.Options{
		Dial:  func(ctx context.Context) (net.Conn, error) { return g.host.box.Dial(ctx, "tcp", web) },
		Fresh: 3, Kept: 3, Pace: 5 * time.Millisecond,
	})
}

// lossless stops the load, and fails unless every request was answered, some of them by
// each of these members.
func (g *gateway) lossless(l *load.Load, names ...string) {
	g.host.t.Helper()
	count := noLoss(g.host.t, l)
	for _, name := range names {
		if !slices.ContainsFunc(keys(count.Bodies), func(b string) bool { return strings.HasSuffix(b, " "+name) }) {
			g.host.t.Errorf("nothing was answered by %s: %v", name, count)
		}
	}
}

func keys(m map[string]int) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

// from waits until the load has another n answers of that member.
func from(t *testing.T, l *load.Load, name string, n int) {
	t.Helper()
	answered := func() (sum int) {
		for body, n := range l.Count().Bodies {
			if strings.HasSuffix(body, " "+name) {
				sum += n
			}
		}
		return sum
	}
	before := answered()
	await(t, fmt.Sprintf("%d answers by %s", n, name), func() bool { return answered() >= before+n })
}

// server is the host pid of the member's server, of its newest generation.
func (c *container) serverPid() int {
	c.t.Helper()
	pid := 0
	for _, p := range c.Procs() {
		if p.Name == "server" {
			pid = p.Host
		}
	}
	if pid == 0 {
		c.t.Fatal("no server runs")
	}
	return pid
}
