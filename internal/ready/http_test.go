package ready

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
)

// A probe can be told apart before it connects, and is let go of when it is over.
func TestHTTPPrepared(t *testing.T) {
	var events []string
	prepare := func(from netip.AddrPort) (func(), error) {
		if from.Addr().String() != "127.0.0.1" || from.Port() == 0 {
			t.Errorf("it comes from %v", from)
		}
		events = append(events, "prepared")
		return func() { events = append(events, "over") }, nil
	}
	for _, address := range []string{raw(t, "HTTP/1.1 204 fine\r\n\r\n"), "127.0.0.1:1"} {
		err := probeOf(t, "http://"+address, &fakeWorker{dial: aimed(prepare)})(t.Context().Done())
		if (err == nil) != (address != "127.0.0.1:1") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if want := []string{"prepared", "over", "prepared", "over"}; !slices.Equal(events, want) {
		t.Errorf("%q, want %q", events, want)
	}
	refuse := func(netip.AddrPort) (func(), error) { return nil, errors.New("not now") }
	if err := probeOf(t, "http://127.0.0.1:1", &fakeWorker{dial: aimed(refuse)})(t.Context().Done()); err == nil || !strings.Contains(err.Error(), "not now") {
		t.Errorf("a refused probe: %v", err)
	}
}

func TestHTTP(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			var code int
			requests := make(chan *http.Request, 10)
			server := &httptest.Server{Listener: listen(t, address), Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests <- r
				w.WriteHeader(code)
			})}}
			server.Start()
			defer server.Close()
			host := server.Listener.Addr().String()
			probe := probe(t, "http://"+host+"/health?full=1")
			for _, code = range []int{200, 204, 299} {
				if err := probe(t.Context().Done()); err != nil {
					t.Errorf("%d: %v", code, err)
				}
				r := <-requests
				if r.Method != "GET" || r.RequestURI != "/health?full=1" || r.Host != host || r.Proto != "HTTP/1.1" || !r.Close {
					t.Errorf("request %s %s %s, host %s, close %v", r.Method, r.RequestURI, r.Proto, r.Host, r.Close)
				}
			}
			for _, code = range []int{301, 404, 503} {
				err := probe(t.Context().Done())
				if want := fmt.Sprintf(`%s answered "HTTP/1.1 %d %s" instead of 2xx`, host, code, http.StatusText(code)); err == nil || err.Error() != want {
					t.Errorf("error %v, want %s", err, want)
				}
				<-requests
			}
		})
	}
}

// raw serves each connection with answer, in two pieces, after the request.
func raw(t *testing.T, answer string) string {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			for line := "x"; strings.TrimSpace(line) != "" && err == nil; {
				line, err = in.ReadString('\n')
			}
			io.WriteString(c, answer[:len(answer)/2])
			io.WriteString(c, answer[len(answer)/2:])
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestHTTPAnswers(t *testing.T) {
	for _, c := range []struct{ answer, want string }{
		{"HTTP/1.0 200 OK\r\n", ""},
		{"HTTP/1.1 200\n", ""},
		{"HTTP/1.1 200 \r\nX: y\r\n\r\nbody", ""},
		{"HTTP/1.1 200 " + strings.Repeat("x", statusLineMax-15) + "\r\n", ""},
		{"HTTP/1.1 200 " + strings.Repeat("x", statusLineMax) + "\r\n", "no end of line in 4096 bytes"},
		{"HTTP/1.1 2000 OK\r\n", `answered "HTTP/1.1 2000 OK"`},
		{"HTTP/1.1 200OK\r\n", `answered "HTTP/1.1 200OK"`},
		{"HTTP/1.1 200 OK", "ended after \"HTTP/1.1 200 OK\""},
		{"", "ended after \"\""},
		{"SSH-2.0-x\x1b[31m\r\n", `answered "SSH-2.0-x\x1b[31m" instead of 2xx`},
		{"HTTP/1.1 500 " + strings.Repeat("y", 300) + "\r\n", `y"… instead of 2xx`},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", `answered "HTTP/1.1 100 Continue"`},
	} {
		err := probe(t, "http://"+raw(t, c.answer))(t.Context().Done())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.40q: error %v, want %q", c.answer, err, c.want)
		}
		if err != nil && (len(err.Error()) > 250 || strings.ContainsAny(err.Error(), "\r\n\x1b")) {
			t.Errorf("%.40q: error %q is not one short line", c.answer, err)
		}
	}
}

func TestHTTPTimeout(t *testing.T) {
	// Accepted by the kernel, answered by nobody.
	probe := probe(t, "http://"+listen(t, "127.0.0.1:0").Addr().String()+"/")
	if err := probe(t.Context().Done()); err == nil || !strings.Contains(err.Error(), "no answer from 127.0.0.1:") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error, 1)
	go func() { outcome <- probe(ctx.Done()) }()
	cancel()
	if err := receive(t, outcome, "end of the probe"); !errors.Is(err, errStopped) {
		t.Errorf("cancelled: %v", err)
	}
}

func FuzzStatusLine(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.1 503\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 200", "HTTP/1.1 20\n", "x"} {
		f.Add([]byte(s), []byte{3, 0, 7})
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		line, err := readStatusLine(&pieces{data, sizes})
		want, _, found := strings.Cut(string(data), "\n")
		found = found && len(want) < statusLineMax
		if (err == nil) != found {
			t.Fatalf("%q: error %v", data, err)
		}
		if err != nil {
			return
		}
		if string(line) != strings.TrimSuffix(want, "\r") {
			t.Errorf("%q: line %q", data, line)
		}
		code, ok := statusCode(line)
		if ok && (code < 100 || code > 999 || !strings.HasPrefix(string(line), "HTTP/") || string(line[9:12]) != fmt.Sprint(code)) {
			t.Errorf("%q: code %d", line, code)
		}
	})
}
