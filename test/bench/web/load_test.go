package main

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// play accepts connections, reads each one's request, and does something with it.
func play(t *testing.T, do func(c *net.TCPConn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 1024)); err == nil {
					do(c.(*net.TCPConn))
				}
			}()
		}
	}()
	return l.Addr().String()
}

func nobody(t *testing.T) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func reply(status, length int, text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		fmt.Fprintf(c, "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, length, text)
	}
}

// Whatever is not the whole, right answer is counted as a failure of its kind.
func TestFailuresAreCounted(t *testing.T) {
	for _, c := range []struct {
		name string
		to   string
		want func(c count) int // of the failures, all are to be these
		fail bool
	}{
		{"a good answer", play(t, reply(200, len(body), body)), nil, false},
		{"nobody listens", nobody(t), func(c count) int { return c.Refused }, true},
		{"closed without an answer", play(t, func(*net.TCPConn) {}), func(c count) int { return c.Cut }, true},
		{"half an answer", play(t, reply(200, len(body), body[:9])), func(c count) int { return c.Cut }, true},
		{"a reset", play(t, func(c *net.TCPConn) { _ = c.SetLinger(0) }), func(c count) int { return c.Reset }, true},
		{"another status", play(t, reply(503, len(body), body)), func(c count) int { return c.Failed }, true},
		{"another text", play(t, reply(200, 3, "no\n")), func(c count) int { return c.Failed }, true},
		{"more than the answer", play(t, func(c *net.TCPConn) {
			reply(200, len(body), body)(c)
			_, _ = io.WriteString(c, "more")
		}), func(c count) int { return c.Failed }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &clients{n: 3, to: c.to}
			l.start()
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for late := time.Now().Add(time.Minute); l.now().Requests < 20 && time.Now().Before(late); {
				<-tick.C
			}
			l.end()
			got := l.now()
			failed := 0
			if c.fail {
				failed = got.Requests
			}
			if got.Requests < 20 || got.Failed != failed || c.fail && c.want(got) != failed {
				t.Errorf("%+v", got)
			}
			if c.fail != (len(got.Errors) > 0) || len(got.Errors) > 5 {
				t.Errorf("the errors are %q", got.Errors)
			}
			if got.Running <= 0 || got.Slowest <= 0 {
				t.Errorf("it took no time: %+v", got)
			}
		})
	}
}

// Clients that keep their connections make one each, and another one after a
// failure.
func TestKeptConnections(t *testing.T) {
	const enough = 20 // requests on a connection, until the server fails one
	var accepted atomic.Int64
	to := play(t, func(c *net.TCPConn) {
		accepted.Add(1)
		in := make([]byte, 1024)
		for range enough {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			if _, err := c.Read(in); err != nil {
				return
			}
		}
	})
	l := &clients{n: 3, to: to, kept: true}
	l.start()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(time.Minute); l.now().Failed < 10 && time.Now().Before(late); {
		<-tick.C
	}
	l.end()
	got := l.now()
	if got.Failed < 10 || got.Cut+got.Reset != got.Failed || got.Requests < enough*got.Failed {
		t.Errorf("%+v", got)
	}
	if n := int(accepted.Load()); n < got.Failed || n > got.Failed+l.n {
		t.Errorf("%d connections for %d failures of %d clients", n, got.Failed, l.n)
	}
}
