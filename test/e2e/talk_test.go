package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// exchange is a request that lasts until the test ends it.
type exchange struct {
	t      *testing.T
	body   *io.PipeWriter
	answer chan error
}

// longRequest begins a request to the active generation. It is accepted and
// being answered when longRequest returns.
func (c *container) longRequest() *exchange {
	c.t.Helper()
	r, w := io.Pipe()
	e := &exchange{t: c.t, body: w, answer: make(chan error, 1)}
	begun := make(chan struct{})
	go func() {
		request, err := http.NewRequest("POST", "http://server/echo", r)
		if err != nil {
			e.answer <- err
			return
		}
		// With this header the server says "100 Continue" when it reads the
		// body, and only then is the body sent.
		request.Header.Set("Expect", "100-continue")
		client := c.client()
		client.Transport.(*http.Transport).ExpectContinueTimeout = patience
		answer, err := client.Do(request)
		if err != nil {
			e.answer <- err
			return
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err == nil && !strings.Contains(string(text), "hello world") {
			err = fmt.Errorf("answer %q", text)
		}
		e.answer <- err
	}()
	go func() {
		defer close(begun)
		_, _ = io.WriteString(w, "hello ")
	}()
	receive(c.t, "the request to begin", begun)
	return e
}

// finish ends the request and fails the test if it was not answered.
func (e *exchange) finish() {
	e.t.Helper()
	_, _ = io.WriteString(e.body, "world")
	_ = e.body.Close()
	if err := receive(e.t, "the answer", e.answer); err != nil {
		e.t.Errorf("a request that was under way was lost: %v", err)
	}
}

// talk is a connection to the control socket.
type talk struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// controlAddress is what swapinit told its child.
func (c *container) controlAddress() string {
	c.t.Helper()
	for _, p := range c.Procs() {
		for kv := range strings.SplitSeq(read(fmt.Sprintf("/proc/%d/environ", p.Host)), "\x00") {
			if address, ok := strings.CutPrefix(kv, "SWAPINIT_CONTROL="); ok && p.Host != c.box.Pid() {
				return address
			}
		}
	}
	c.t.Fatal("no child has SWAPINIT_CONTROL")
	return ""
}

// connect opens a connection to the control socket.
func (c *container) connect() *talk {
	c.t.Helper()
	return c.connectTo(c.controlAddress())
}

func (c *container) connectTo(address string) *talk {
	c.t.Helper()
	conn, err := c.box.Dial(context.Background(), "unix", address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	return &talk{c.t, conn, bufio.NewReaderSize(conn, 1<<20)}
}

// send writes raw bytes.
func (k *talk) send(text string) {
	k.t.Helper()
	if _, err := io.WriteString(k.conn, text); err != nil {
		k.t.Fatal(err)
	}
}

// ask sends one request and returns when swapinit has it: what is asked later
// comes later.
func (c *container) ask(verb, args string) *talk {
	c.t.Helper()
	k := c.connect()
	k.send(fmt.Sprintf("{\"v\":1,\"verb\":%q,\"args\":%s}\n", verb, args))
	await(c.t, "the request to be read", k.allRead)
	for range 3 {
		c.status()
	}
	return k
}

// allRead reports whether the peer has read everything that was sent.
func (k *talk) allRead() bool {
	raw, err := k.conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return true
	}
	unread := 0
	err = raw.Control(func(fd uintptr) { unread, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return err != nil || unread == 0
}

// reply reads events until the reply.
type reply struct {
	V     int    `json:"v"`
	OK    *bool  `json:"ok"`
	Error string `json:"error"`
	Event string `json:"event"`
}

func (k *talk) reply() reply {
	k.t.Helper()
	for {
		line, err := k.in.ReadString('\n')
		if err != nil {
			k.t.Fatalf("no reply: %v after %q", err, line)
		}
		var r reply
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			k.t.Fatalf("%v in %q", err, line)
		}
		if r.V != 1 {
			k.t.Errorf("no version in %q", line)
		}
		if r.OK != nil {
			return r
		}
		if r.Event == "" {
			k.t.Errorf("neither event nor reply: %q", line)
		}
	}
}

func (k *talk) wantReply(ok bool) reply {
	k.t.Helper()
	r := k.reply()
	if *r.OK != ok {
		k.t.Fatalf("reply %+v, want ok %t", r, ok)
	}
	if !ok && r.Error == "" {
		k.t.Error("a refusal without a reason")
	}
	return r
}
