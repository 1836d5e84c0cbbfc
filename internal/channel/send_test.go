package channel

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func notify(t *testing.T, c chan os.Signal, s os.Signal) {
	signal.Notify(c, s)
	t.Cleanup(func() { signal.Stop(c) })
}

// fill sends until nothing more is taken, and returns how many were.
func fill(t *testing.T, c *Channel, pad string) (sent int) {
	t.Helper()
	for c.Send(Message{Kind: Deliver, Data: fmt.Sprintf(`[%d,"%s"]`, sent, pad)}) {
		if sent++; sent > 1<<20 {
			t.Fatal("the queue has no end")
		}
	}
	return sent
}

// A child that does not read costs no more than the queue, and then finds in
// order and whole all that was accepted.
func TestSendQueue(t *testing.T) {
	for _, size := range []int{10, 1000, 100_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			c, said, child := watched(t, false)
			pad := strings.Repeat("x", size)
			before := runtime.NumGoroutine()
			sent := fill(t, c, pad)
			if n := runtime.NumGoroutine() - before; n > 1 {
				t.Errorf("%d goroutines for one queue", n)
			}
			c.mu.Lock()
			queued, room := len(c.queue), cap(c.queue)
			c.mu.Unlock()
			if queued > queueMax || room > 2*queueMax || sent == 0 {
				t.Fatalf("sent %d, queued %d bytes of %d", sent, queued, room)
			}
			r := bufio.NewReader(child)
			for i := range sent {
				line, err := r.ReadString('\n')
				if want := fmt.Sprintf(`{"swapinit":"message","data":[%d,"%s"]}`+"\n", i, pad); err != nil || line != want {
					t.Fatalf("line %d is %.60q, %v", i, line, err)
				}
			}
			// There is room again.
			if !c.Send(Message{Kind: Go, Resource: "a"}) {
				t.Fatal("nothing more can be sent")
			}
			if line, err := r.ReadString('\n'); err != nil || line != `{"swapinit":"go","resource":"a"}`+"\n" {
				t.Errorf("%q, %v", line, err)
			}
			// Meanwhile the other direction was open.
			write(t, child, `{"swapinit":"ready"}`+"\n")
			if m := receive(t, said, "message"); m.Kind != Ready {
				t.Errorf("%+v", m)
			}
		})
	}
}

// A data that would not fit into an empty queue is refused, not cut.
func TestSendTooLong(t *testing.T) {
	c, _, child := watched(t, true)
	if c.Send(Message{Kind: Deliver, Data: `"` + strings.Repeat("x", queueMax) + `"`}) {
		t.Error("it was taken")
	}
	if !c.Send(Message{Kind: Deliver, Data: "1"}) {
		t.Error("the next one was not")
	}
	if line, err := bufio.NewReader(child).ReadString('\n'); line != "1\n" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestSendFromMany(t *testing.T) {
	c, _, child := watched(t, true)
	const senders, each = 8, 500
	var wait sync.WaitGroup
	for s := range senders {
		wait.Go(func() {
			for i := range each {
				if !c.Send(Message{Kind: Deliver, Data: fmt.Sprintf("[%d,%d]", s, i)}) {
					t.Errorf("%d of sender %d was refused", i, s)
				}
			}
		})
	}
	next := [senders]int{}
	r := bufio.NewReader(child)
	for range senders * each {
		line, err := r.ReadString('\n')
		var s, i int
		if _, scan := fmt.Sscanf(line, "[%d,%d]\n", &s, &i); scan != nil || i != next[s] {
			t.Fatalf("%q, %v, %v", line, err, scan)
		}
		next[s]++
	}
	wait.Wait()
}

// The end of the child, or ours, ends a flush that waits.
func TestFlushEnds(t *testing.T) {
	for name, end := range map[string]func(c *Channel, child *os.File){
		"child gone": func(_ *Channel, child *os.File) { child.Close() },
		"Close":      func(c *Channel, _ *os.File) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c, _, child := watched(t, false)
			fill(t, c, strings.Repeat("x", 1000))
			end(c, child)
			receive(t, c.done, "end of the reader")
			await(t, "end of the flush", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return !c.writing && c.queue == nil
			})
			if c.Send(Message{Kind: Go, Resource: "a"}) {
				t.Error("something was sent to nobody")
			}
		})
	}
}

// A child that can say nothing any more has left, even if it could still read.
func TestShutDown(t *testing.T) {
	c, said, child := watched(t, false)
	fill(t, c, strings.Repeat("x", 1000))
	if err := unix.Shutdown(int(child.Fd()), unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, said, "end"); m.Kind != Gone {
		t.Errorf("%+v", m)
	}
	if c.mu.Lock(); c.queue != nil {
		t.Error("something is still queued")
	}
	c.mu.Unlock()
	if _, err := child.Read(make([]byte, 10<<10)); err != nil { // there is room
		t.Fatal(err)
	}
	if c.Send(Message{Kind: Go, Resource: "a"}) {
		t.Error("something was sent")
	}
}

// A descriptor that the child sends along is closed by the kernel.
func TestDescriptorsSentAlong(t *testing.T) {
	_, said, child := watched(t, false)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rights := unix.UnixRights(int(w.Fd()), int(w.Fd()))
	if err := unix.Sendmsg(int(child.Fd()), []byte(`{"swapinit":"ready"}`+"\n"), rights, nil, 0); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if m := receive(t, said, "message"); m.Kind != Ready {
		t.Errorf("%+v", m)
	}
	end := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 1))
		end <- err
	}()
	if err := receive(t, end, "end of the pipe: a descriptor leaked"); err != io.EOF {
		t.Error(err)
	}
}
