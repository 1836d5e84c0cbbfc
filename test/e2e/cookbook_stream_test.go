//go:build linux

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/swapinit/swapinit/test/load"
)

// cookbookStreams holds a WebSocket and an event stream open over a swap. Both stay with
// their generation; the stream ends by itself, the WebSocket at the drain's end; who comes
// again meets the successor.
func cookbookStreams(t *testing.T, r *cookbookRun) {
	t.Helper()
	address := strings.TrimPrefix(r.project.awaitHTTP("web", "8080"), "http://")
	ws := cookbookDial(t, address)
	first := ws.asks()
	stream, err := http.Get("http://" + address + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if got := r.try(r.swapinit(), "swap"); got.Code != 0 {
		t.Fatalf("swap: %v", got)
	}
	if got := ws.asks(); got != first {
		t.Errorf("the WebSocket of %q is answered by %q after a swap", first, got)
	}
	text, err := io.ReadAll(stream.Body)
	if err != nil {
		t.Errorf("the event stream was cut: %v", err)
	}
	if all, own := strings.Count(string(text), "data: "), strings.Count(string(text), "data: "+first); own == 0 || own != all {
		t.Errorf("%d of %d events are from %q", own, all, first)
	}
	if opcode, payload, err := ws.frame(); err != io.EOF {
		t.Errorf("at the drain's end the WebSocket got opcode %d, %q, %v; want its end, without a frame", opcode, payload, err)
	}
	if got := cookbookDial(t, address).asks(); got == first {
		t.Errorf("who comes again is answered by %q", got)
	}
	r.settled()
}

// cookbookSocket is a client's WebSocket.
type cookbookSocket struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

func cookbookDial(t *testing.T, address string) *cookbookSocket {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(dockerPatience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	s := &cookbookSocket{t, c, bufio.NewReader(c)}
	answer, err := http.ReadResponse(s.in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("no WebSocket: %v %v", answer, err)
	}
	return s
}

// asks sends one short text, masked with zeros, and returns the answer.
func (s *cookbookSocket) asks() string {
	s.t.Helper()
	if _, err := s.c.Write([]byte{0x81, 0x81, 0, 0, 0, 0, '?'}); err != nil {
		s.t.Fatal(err)
	}
	opcode, payload, err := s.frame()
	if err != nil || opcode != 1 {
		s.t.Fatalf("opcode %d: %q, %v", opcode, payload, err)
	}
	return strings.TrimSpace(string(payload))
}

// frame reads a short one that is no ping.
func (s *cookbookSocket) frame() (opcode byte, payload []byte, err error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(s.in, head[:]); err != nil {
			return 0, nil, err
		}
		payload = make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(s.in, payload); err != nil {
			return 0, nil, err
		}
		if opcode = head[0] & 0x0f; opcode != 9 {
			return opcode, payload, nil
		}
	}
}

// cookbookBusy has clients that keep their connection and never rest: no drain finds it
// idle. The server tells them to go, and they lose nothing.
func cookbookBusy(t *testing.T, r *cookbookRun) {
	t.Helper()
	ask, err := load.Protocol("grpc:/web.Who/Ask")
	if err != nil {
		t.Fatal(err)
	}
	address := r.project.do("port", "web", "8080")
	l := load.Start(load.Options{Ask: ask, Kept: 2, Pace: 10 * time.Millisecond, Again: true, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}})
	answers := func(generations int) {
		t.Helper()
		dockerEventually(t, "answers", func() bool { return len(l.Count().Bodies) >= generations })
	}
	answers(1)
	// Not r.swaps: the page's swap that fails has taken a number.
	if got := r.try(r.swapinit(), "swap"); got.Code != 0 {
		t.Fatalf("swap: %v", got)
	}
	r.settled()
	answers(2)
	n := l.Stop()
	t.Logf("busy clients: %v", n)
	if n.Failed > 0 {
		t.Errorf("busy clients: %v", n)
	}
}
