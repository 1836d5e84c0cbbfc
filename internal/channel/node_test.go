package channel

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// await polls; with what it says what never came.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// startNode runs a script with the channel as NODE_CHANNEL_FD. It returns what
// is said, and a func that waits for the end and returns the output.
func startNode(t *testing.T, c *Channel, script string) (chan Message, func() string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil && os.Getenv("SWAPINIT_TEST_REQUIRE") != "" {
		t.Fatal("no node here, but it is required")
	}
	if err != nil {
		t.Skip("no node here")
	}
	said := make(chan Message, 1000)
	c.Watch(func(m Message) { said <- m })
	cmd := exec.Command(node, "-e", script)
	child := childEnd(t, c)
	// On 5, as it is wherever there are other descriptors.
	cmd.ExtraFiles = []*os.File{nil, nil, child}
	cmd.Env = append(os.Environ(), "NODE_CHANNEL_FD=5", "NODE_CHANNEL_SERIALIZATION_MODE=json")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	return said, func() string {
		t.Helper()
		err := receive(t, ended, "end of node")
		if err != nil {
			t.Errorf("node: %v: %s", err, out.String())
		}
		return out.String()
	}
}

func TestNode(t *testing.T) {
	c := newChannel(t, true)
	said, output := startNode(t, c, `
		const got = []
		process.on('message', m => {
			got.push(m)
			if (m && m.swapinit === 'go') process.send({swapinit: 'ready', pid: process.pid})
			if (m && m.swapinit === 'takedown') {
				process.send({swapinit: 'released', resource: m.resource})
				console.log(JSON.stringify(got))
				process.disconnect()
			}
		})
		process.send({type: 'axm:monitor', data: {a: ['"', '\\', '\u2028', '\ud800', 1e300]}})
		process.send('hello'); process.send(7); process.send(null)
		process.send({text: 'x'.repeat(1 << 20)})
		process.send('ready')
		process.send({swapinit: 'readyFor', resource: 'kü"he\\✓'})
	`)
	const resource = `kü"he\✓`
	for _, want := range []Message{
		garbage("a line is longer than 64 KiB"), {Kind: Ready}, {Kind: ReadyFor, Resource: resource},
	} {
		if got := receive(t, said, "message"); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	for _, m := range []Message{
		{Kind: Deliver, Data: `{"a":[1,"\u00fc\n"]}`}, {Kind: Deliver, Data: "\n[ 1,\r\n2 ]\n"}, {Kind: Deliver, Data: `"hel\tlo"`},
		{Kind: Deliver, Data: `null`}, {Kind: Deliver, Data: `"` + strings.Repeat("y", 60<<10) + `"`}, {Kind: Go, Resource: resource},
	} {
		if !c.Send(m) {
			t.Fatalf("%+v was refused", m)
		}
	}
	if got := receive(t, said, "message"); got.Kind != Ready {
		t.Fatalf("%+v", got)
	}
	c.Send(Message{Kind: Takedown, Resource: resource})
	for _, want := range []Message{{Kind: Released, Resource: resource}, {Kind: Gone}} {
		if got := receive(t, said, "message"); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	want := `[{"a":[1,"ü\n"]},[1,2],"hel\tlo",null,"` + strings.Repeat("y", 60<<10) +
		`",{"swapinit":"go","resource":"kü\"he\\✓"},{"swapinit":"takedown","resource":"kü\"he\\✓"}]` + "\n"
	if got := output(); got != want {
		t.Errorf("node got %.300q", got)
	}
}

// A socket that is sent along is not ours, and does not stay open; what goes
// with it is Node's own message.
func TestNodeHandle(t *testing.T) {
	before := sockets()
	c := newChannel(t, true)
	said, output := startNode(t, c, `
		const net = require('net')
		const server = net.createServer(peer => {
			process.send({swapinit: 'ready'}, peer, {}, () => process.exit(0))
		}).listen(0, '127.0.0.1', () => {
			process.send({swapinit: 'readyFor', resource: 'a'})
			net.connect(server.address().port, '127.0.0.1').on('error', () => {})
		})
	`)
	for _, want := range []Message{{Kind: ReadyFor, Resource: "a"}, {Kind: Gone}} {
		if got := receive(t, said, "message"); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	output()
	if n := sockets(); n != before+1 {
		t.Errorf("%d sockets are open, want %d", n, before+1)
	}
}

// Node ends by itself when its parent's end is closed and nothing else is left.
func TestNodeDisconnected(t *testing.T) {
	c := newChannel(t, true)
	said, output := startNode(t, c, `
		process.on('message', () => {})
		process.on('disconnect', () => console.log('disconnected'))
		process.send('ready')
	`)
	if m := receive(t, said, "readiness"); m.Kind != Ready {
		t.Fatalf("%+v", m)
	}
	c.Close()
	if got := output(); got != "disconnected\n" {
		t.Errorf("%q", got)
	}
}
