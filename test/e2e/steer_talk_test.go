package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// kept is a connection that the test keeps.
type kept struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// keep opens a connection and has one request answered on it.
func (c *container) keep() *kept {
	c.t.Helper()
	k := c.open("tcp", web)
	k.get("/")
	return k
}

// open opens a connection and leaves it at that.
func (c *container) open(network, address string) *kept {
	c.t.Helper()
	conn, err := c.box.Dial(context.Background(), network, address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &kept{c.t, conn, bufio.NewReader(conn)}
}

// get sends one more request on the connection.
func (k *kept) get(path string) string {
	k.t.Helper()
	text, err := k.try(path)
	if err != nil {
		k.t.Fatalf("on a kept connection: %v", err)
	}
	return text
}

func (k *kept) try(path string) (string, error) {
	if err := k.send(path); err != nil {
		return "", err
	}
	return k.receive()
}

// send sends a request and does not wait for its answer.
func (k *kept) send(path string) error {
	_, err := fmt.Fprintf(k.conn, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path)
	return err
}

func (k *kept) receive() (string, error) {
	answer, err := http.ReadResponse(k.in, nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", answer.Status)
	}
	return string(text), err
}

// do makes the server at the other end misbehave.
func (k *kept) do(act, arg string) {
	k.t.Helper()
	k.get("/do?act=" + act + "&arg=" + url.QueryEscape(arg))
}

// upload is a request whose body is not complete: as long as the test wants, its
// connection is busy. (That of longRequest may look idle: there the server has
// said "100 Continue", in the same tick of the kernel's clock as what it
// received.)
type upload struct{ *kept }

// busy begins a request to the active generation, which has accepted it when
// busy returns.
func (c *container) busy() upload {
	c.t.Helper()
	k := c.open("tcp", web)
	if _, err := io.WriteString(k.conn, "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\nhello "); err != nil {
		c.t.Fatal(err)
	}
	c.awaitStatus("empty queues", func(s status) bool {
		for _, g := range s.Generations {
			if g.Queued == nil || *g.Queued > 0 {
				return false
			}
		}
		return true
	})
	return upload{k}
}

// finish ends the request, which must be answered.
func (u upload) finish() {
	u.t.Helper()
	if _, err := io.WriteString(u.conn, "world"); err != nil {
		u.t.Errorf("a request that was under way was lost: %v", err)
	}
	text, err := u.receive()
	if err != nil || !strings.Contains(text, "hello world") {
		u.t.Errorf("a request that was under way was lost: %v, answer %q", err, text)
	}
	_ = u.conn.Close()
}

// wantCut waits until the server has cut the request off.
func (u upload) wantCut() {
	u.t.Helper()
	text, err := u.receive()
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		u.t.Error("the request was not cut off")
	} else if err == nil {
		u.t.Errorf("the request was answered: %q", text)
	}
}
