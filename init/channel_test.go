package pid1

import (
	"bufio"
	"os"
	"testing"

	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/swap"
	"golang.org/x/sys/unix"
)

// Who gets what: nobody is told anything before it has said something, but for
// messages to Node.
func TestTell(t *testing.T) {
	w := testWorker(1)
	var err error
	if w.channels, err = newChannels(true); err != nil || len(w.channels) != 2 {
		t.Fatal(len(w.channels), err)
	}
	defer w.close()
	var child [2]*bufio.Reader
	for n, c := range w.channels {
		fd, err := unix.FcntlInt(c.ChildEnd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "child")
		defer f.Close()
		child[n] = bufio.NewReader(f)
		c.CloseChildEnd()
	}
	const (
		message, bare, takedown = `{"swapinit":"message","data":1}`, `1`, `{"swapinit":"takedown","resource":"r"}`
	)
	// Every case ends with a go to both, which shows that nothing else came.
	flush := func() {
		t.Helper()
		for n, c := range w.channels {
			if !c.Send(channel.Message{Kind: channel.Go, Resource: "r"}) {
				t.Fatal("cannot send")
			}
			if got, err := child[n].ReadString('\n'); got != `{"swapinit":"go","resource":"r"}`+"\n" {
				t.Fatalf("channel %d has %q, %v", n, got, err)
			}
		}
	}
	for _, c := range []struct {
		joined  [2]bool
		kind    channel.Kind
		on      [2]string // what comes there
		reached bool
	}{
		{[2]bool{}, channel.Takedown, [2]string{}, false},
		{[2]bool{}, channel.Deliver, [2]string{1: bare}, true},
		{[2]bool{true, false}, channel.Deliver, [2]string{message, bare}, true},
		{[2]bool{false, true}, channel.Deliver, [2]string{1: bare}, true},
		{[2]bool{true, true}, channel.Deliver, [2]string{message, bare}, true},
		{[2]bool{true, false}, channel.Takedown, [2]string{takedown}, true},
		{[2]bool{false, true}, channel.Takedown, [2]string{1: takedown}, true},
		{[2]bool{true, true}, channel.Takedown, [2]string{takedown, takedown}, true},
	} {
		w.joined = c.joined
		m := channel.Message{Kind: c.kind, Resource: "r"}
		if c.kind == channel.Deliver {
			m = channel.Message{Kind: c.kind, Data: "1"}
		}
		if got := w.g.tellAll(swap.EveryWorker, m); (got == 1) != c.reached {
			t.Errorf("%v, %d: told %d", c.joined, c.kind, got)
		}
		if w.g.tellAll(1, m) != 0 {
			t.Error("a worker that is not there was told")
		}
		for n, want := range c.on {
			if want == "" {
				continue
			}
			if got, err := child[n].ReadString('\n'); got != want+"\n" {
				t.Errorf("%v, %d: channel %d has %q, %v, want %q", c.joined, c.kind, n, got, err, want)
			}
		}
		flush()
	}
	w.ended.Store(true)
	if w.g.tellAll(swap.EveryWorker, channel.Message{Kind: channel.Deliver, Data: "1"}) != 0 {
		t.Error("a worker that has ended was told")
	}
}

// What is said there counts as readiness where nothing else was asked for.
func TestSaid(t *testing.T) {
	i := testInit(t)
	w := testWorker(7) // of which the machine knows nothing
	for _, source := range []string{"fd", "notify", "listen", "auto"} {
		var err error
		if i.mode, err = ready.Parse(source, nil); err != nil {
			t.Fatal(err)
		}
		for _, k := range []channel.Kind{channel.Garbage, channel.ReadyFor, channel.Released, channel.Ready} {
			i.said(w, lines, channel.Message{Kind: k, Resource: "r"})
			if got, want := w.readyAfter > 0, source == "auto" && k == channel.Ready; got != want {
				t.Errorf("source %s, message %d: ready %v", source, k, got)
			}
			if joined := w.joined[lines]; joined == (k == channel.Garbage && source == "fd") || w.joined[node] {
				t.Errorf("source %s, message %d: it is on the channels %v", source, k, w.joined)
			}
		}
	}
	if i.said(w, lines, channel.Message{Kind: channel.Gone}); w.joined[lines] {
		t.Error("it has closed the channel and is still on it")
	}
}
