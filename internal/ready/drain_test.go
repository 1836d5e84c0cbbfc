package ready

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNotifyDrain(t *testing.T) {
	n := newNotify(t)
	n.Drain() // before Watch: nothing to deliver to
	fd := client(t, n)
	for _, s := range []string{"STATUS=a", "STATUS=b", "READY=1"} {
		if _, err := unix.Write(fd, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var got []Message
	n.Watch(anybody, func(m Message) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m)
	})
	n.Drain()
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 3 || *got[0].Status != "a" || *got[1].Status != "b" || !got[2].Ready {
		t.Errorf("after Drain: %+v", got)
	}
}

// Drain and the reader at once: nothing is lost, doubled or out of order, and
// what was sent before a Drain is delivered when it returns.
func TestNotifyDrainConcurrent(t *testing.T) {
	n := newNotify(t)
	const senders, each = 3, 2000
	var mu sync.Mutex
	last := map[string]int{}
	total := 0
	n.Watch(anybody, func(m Message) {
		name, number, _ := strings.Cut(*m.Status, " ")
		i, _ := strconv.Atoi(number)
		mu.Lock()
		defer mu.Unlock()
		if i != last[name]+1 {
			t.Errorf("sender %s: %d after %d", name, i, last[name])
		}
		last[name] = i
		total++
	})
	var senderGroup, drainer sync.WaitGroup
	stop := make(chan struct{})
	for s := range senders {
		fd, name := client(t, n), string(rune('a'+s))
		senderGroup.Go(func() {
			for i := 1; i <= each; i++ {
				if _, err := unix.Write(fd, fmt.Appendf(nil, "STATUS=%s %d", name, i)); err != nil {
					t.Errorf("cannot send: %v", err)
					return
				}
				if s == 0 && i%100 == 0 {
					n.Drain()
					mu.Lock()
					if last[name] != i {
						t.Errorf("%d sent, Drain returned after %d", i, last[name])
					}
					mu.Unlock()
				}
			}
		})
	}
	drainer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				n.Drain()
			}
		}
	})
	senderGroup.Wait()
	n.Drain()
	close(stop)
	drainer.Wait()
	if total != senders*each {
		t.Errorf("%d messages, want %d", total, senders*each)
	}
}

// A receiver that is slow makes the senders wait: nothing piles up here.
func TestNotifyFlood(t *testing.T) {
	n := newNotify(t)
	gate := make(chan struct{})
	var count int
	seen := make(chan struct{}, 1<<16)
	n.Watch(anybody, func(Message) {
		<-gate
		count++
		seen <- struct{}{}
	})
	fd := client(t, n)
	sent := 0
	for ; sent < 1<<16; sent++ {
		if err := unix.Sendto(fd, []byte("WATCHDOG=1"), unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: n.Address()}); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if sent == 1<<16 {
		t.Skip("the kernel's queue is longer than this test is patient")
	}
	close(gate)
	for range sent {
		receive(t, seen, "message")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if count != sent {
		t.Errorf("%d delivered, %d sent", count, sent)
	}
}

func TestNotifyCloseInDelivery(t *testing.T) {
	for _, who := range []string{"reader", "drain"} {
		n := newNotify(t)
		closed := make(chan struct{})
		if who == "drain" {
			send(t, n, "READY=1")
		}
		n.Watch(anybody, func(Message) { n.Close(); close(closed) })
		if who == "drain" {
			n.Drain()
		} else {
			send(t, n, "READY=1")
		}
		receive(t, closed, "return of Close")
		receive(t, n.done, "end of the reader")
	}
}

// Close does not wait for a receiver that itself waits for the closer.
func TestNotifyCloseWhileDelivering(t *testing.T) {
	n := newNotify(t)
	begun, gate := make(chan struct{}), make(chan struct{})
	n.Watch(anybody, func(Message) { close(begun); <-gate })
	send(t, n, "READY=1")
	receive(t, begun, "delivery")
	n.Close()
	n.Close()
	close(gate)
	receive(t, n.done, "end of the reader")
	n.Drain()
}

func TestLeaks(t *testing.T) {
	dir := t.TempDir()
	round := func(i int) {
		p, err := NewPipe()
		if err != nil {
			t.Fatal(err)
		}
		n, err := NewNotify(i, []string{dir}, -1)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan struct{}, 2)
		p.Watch(func(PipeEvent) {})
		n.Watch(anybody, func(Message) { got <- struct{}{} })
		if i%3 == 0 {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			to := &unix.SockaddrUnix{Name: n.Address()}
			if err = unix.Sendmsg(fd, []byte("READY=1"), unix.UnixRights(fd, fd), to, 0); err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
			receive(t, got, "message")
		}
		p.CloseChildEnd()
		p.Close()
		n.Close()
		receive(t, p.done, "end of the pipe's reader")
		receive(t, n.done, "end of the socket's reader")
	}
	round(0) // the poller's own fds appear now
	before := openFDs(t)
	for i := range 1000 {
		round(i)
	}
	if after := openFDs(t); len(after) != len(before) {
		t.Errorf("fds before: %v\nafter: %v", before, after)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
