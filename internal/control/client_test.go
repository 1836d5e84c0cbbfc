package control

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// fakeInit answers each connection with what reply writes.
func fakeInit(t *testing.T, reply func(c *net.UnixConn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			reply(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return path
}

func TestDoErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                         ErrGone.Error(),
		`{"v":1,"ok":true}`:        ErrGone.Error(), // half a line
		"rubbish\n":                "cannot read answer",
		`{"v":1}` + "\n":           "neither an event nor a reply",
		`{"v":2,"ok":true}` + "\n": "its version is 2",
		`{"v":1,"ok":1}` + "\n":    "cannot read answer",
		`{"v":1,"ok":true,"generation":"x"}` + "\n": "cannot read answer",
		`{"v":1,"event":"ready"}` + "\n":            ErrGone.Error(),
		strings.Repeat("x", maxAnswer+1):            "line too long",
	} {
		path := fakeInit(t, func(c *net.UnixConn) {
			c.Read(make([]byte, 4096))
			io.WriteString(c, text)
		})
		events := 0
		_, err := Do(path, Request{Verb: VerbSwap}, func(Event) { events++ })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
		if errors.Is(err, ErrGone) != (want == ErrGone.Error()) {
			t.Errorf("%.40q: ErrGone is %v", text, errors.Is(err, ErrGone))
		}
		if (events == 1) != strings.Contains(text, "event") {
			t.Errorf("%.40q: %d events", text, events)
		}
	}
	// Closed with the request unread: a reset, which is the same thing.
	path := fakeInit(t, func(c *net.UnixConn) {})
	for range 50 {
		var none *NoInit
		if _, err := Do(path, Request{Verb: VerbStop}, nil); !errors.Is(err, ErrGone) && !errors.As(err, &none) {
			t.Fatalf("unread: %v", err)
		}
	}
	// Turned away before the request was sent: the reason arrives all the same.
	path = fakeInit(t, func(c *net.UnixConn) { io.WriteString(c, `{"v":1,"ok":false,"error":"no"}`+"\n") })
	for range 50 {
		if r, err := Do(path, Request{Verb: VerbStop}, nil); err != nil || r.OK || r.Error != "no" {
			t.Fatalf("turned away: %+v, %v", r, err)
		}
	}
}
