package control

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/procnet"
)

// Limits of the metrics' server.
const (
	scrapers    = 8                // at a time; others wait
	scrapeTime  = 10 * time.Second // for a request and its answer
	scrapeMax   = 8 << 10          // bytes of a request
	metricsPath = "/metrics"
)

// ServeMetrics answers GET /metrics over HTTP/1.1, one request a connection, on a listening
// socket that does not block, until that is closed. handle is as in Server.Serve, and gets
// the verb status.
func ServeMetrics(listener *os.File, handle func(*Call)) {
	procnet.Serve(listener, scrapers, func(conn *os.File) { scrape(conn, handle) })
}

// scrape answers one request.
func scrape(conn *os.File, handle func(*Call)) {
	_ = conn.SetDeadline(time.Now().Add(scrapeTime))
	method, path, ok := readHead(conn)
	status, body, kind := "200 OK", "", "text/plain; charset=utf-8"
	switch {
	case !ok:
		status, body = "400 Bad Request", "cannot read the request: want GET "+metricsPath+" over HTTP/1.1\n"
	case path != metricsPath:
		status, body = "404 Not Found", "there is nothing but "+metricsPath+"\n"
	case method != "GET" && method != "HEAD":
		status, body = "405 Method Not Allowed", "want GET\n"
	default:
		s := statusOf(handle)
		if s == nil {
			return // the init has ended
		}
		body, kind = s.Metrics(), MetricsType
	}
	head := "HTTP/1.1 " + status + "\r\nContent-Type: " + kind + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\nConnection: close\r\n\r\n"
	if method == "HEAD" {
		body = ""
	}
	_, _ = conn.Write([]byte(head + body))
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	// What it still sends would make the kernel reset the connection, and the answer with it.
	_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	rest := make([]byte, 512)
	for n := 0; n < scrapeMax; {
		got, err := conn.Read(rest)
		if n += got; err != nil {
			return
		}
	}
}

// readHead reads a request up to the empty line. The path is without its query.
func readHead(conn *os.File) (method, path string, ok bool) {
	head := make([]byte, 0, scrapeMax)
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		if len(head) == cap(head) {
			return "", "", false
		}
		n, err := conn.Read(head[len(head):cap(head)])
		if head = head[:len(head)+n]; err != nil {
			return "", "", false
		}
	}
	line, _, _ := strings.Cut(string(head), "\r\n")
	words := strings.Split(line, " ")
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/1.") {
		return "", "", false
	}
	path, _, _ = strings.Cut(words[1], "?")
	return words[0], path, true
}

// statusOf gets the status; nil where nobody answers in time.
func statusOf(handle func(*Call)) *Status {
	reply, late := make(chan *Reply, 1), clock.NewTimer(scrapeTime)
	defer late.Stop()
	handle(&Call{Request: Request{Verb: VerbStatus}, a: &answer{reply: reply, gone: make(chan struct{})}})
	select {
	case r := <-reply:
		return r.Status
	case <-late.C:
		return nil
	}
}
