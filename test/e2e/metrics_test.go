package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const metricsAt = "127.0.0.1:9180"

// scrape asks as a scraper does, with one connection.
func (c *container) scrape(method, network, address, path string) (*http.Response, string) {
	c.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.box.Dial(ctx, network, address) }}}
	ask, err := http.NewRequestWithContext(c.t.Context(), method, "http://swapinit"+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := client.Do(ask)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer, string(text)
}

// has reports whether a text of metrics has these samples, each a whole line.
func hasSamples(text string, samples ...string) bool {
	for _, s := range samples {
		if !strings.Contains(text, "\n"+s+"\n") {
			return false
		}
	}
	return true
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_METRICS=" + metricsAt}})
	get := func() string {
		t.Helper()
		answer, text := c.scrape("GET", "tcp", metricsAt, "/metrics?x=1")
		if answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/openmetrics-text; version=1.0.0") {
			t.Errorf("%s, %v", answer.Status, answer.Header)
		}
		if !strings.HasSuffix(text, "\n# EOF\n") {
			t.Errorf("no end: %q", text)
		}
		return text
	}
	if text := get(); !hasSamples(text, `swapinit_swaps_total{result="ok"} 0`, `swapinit_generations{state="active"} 1`, "swapinit_active_generation 1") || strings.Contains(text, "last_swap") {
		t.Error(text)
	}
	c.Swap()
	if r := c.Verb("swap", "--", "/no/such/server"); r.Code != 1 {
		t.Errorf("swap to nothing: %v", r)
	}
	var text string
	if !poll(func() bool {
		text = get()
		return hasSamples(text, `swapinit_swaps_total{result="ok"} 1`, `swapinit_swaps_total{result="failed"} 1`, "swapinit_last_swap_ok 0", "swapinit_active_generation 2",
			`swapinit_generations{state="active"} 1`, `swapinit_generations_share_ratio{state="active"} 1.0000`, "swapinit_ready 1")
	}) {
		t.Error(text)
	}
	// The verb prints the same families.
	r := c.Verb("metrics")
	if r.Code != 0 || families(r.Stdout) != families(text) {
		t.Errorf("%v\nwant\n%s", r, families(text))
	}
	for _, ask := range []struct {
		method, path string
		want         int
	}{{"GET", "/", 404}, {"GET", "/metrics/", 404}, {"POST", "/metrics", 405}, {"HEAD", "/metrics", 200}} {
		if answer, text := c.scrape(ask.method, "tcp", metricsAt, ask.path); answer.StatusCode != ask.want || (ask.method == "HEAD") != (text == "") {
			t.Errorf("%s %s: %s, %q", ask.method, ask.path, answer.Status, text)
		}
	}
}

// families are the lines that begin one.
func families(text string) (list string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "# TYPE") {
			list += line
		}
	}
	return list
}

// Whoever says nothing, or nonsense, or never reads, has a place until its time is over;
// the others wait for that, and the init for nobody.
func TestMetricsHostile(t *testing.T) {
	t.Parallel()
	c := startWeb(t, opts{Env: []string{"SWAPINIT_METRICS=" + metricsAt}})
	for n, say := range []string{"", "", "", "", "GET /metrics HTTP/1.1\r\n", "\x00\xff\r\n\r\n", strings.Repeat("x", 20<<10), "GET /metrics\r\n\r\n", "GET /metrics HTTP/9\r\n\r\n", ""} {
		conn, err := c.box.Dial(t.Context(), "tcp", metricsAt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, say); err != nil {
			t.Logf("%d: %v", n, err)
		}
	}
	c.Swap()
	if answer, text := c.scrape("GET", "tcp", metricsAt, "/metrics"); answer.StatusCode != 200 || !hasSamples(text, `swapinit_swaps_total{result="ok"} 1`) {
		t.Errorf("%s: %s", answer.Status, text)
	}
}

func TestMetricsOnAPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(tempDir(t), "metrics.sock")
	c := startWeb(t, opts{Env: []string{"SWAPINIT_METRICS=" + path}})
	if answer, text := c.scrape("GET", "unix", path, "/metrics"); answer.StatusCode != 200 || !hasSamples(text, "swapinit_ready 1") {
		t.Errorf("%s: %s", answer.Status, text)
	}
	c.Signal(sigTERM)
	c.Wait()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the path is still there")
	}
}

func TestMetricsOfAGate(t *testing.T) {
	t.Parallel()
	g := startGate(t, "SWAPINIT_METRICS="+metricsAt)
	g.first("a", []string{"SWAPINIT_METRICS=127.0.0.1:9181"})
	answer, text := g.host.scrape("GET", "tcp", metricsAt, "/metrics")
	if answer.StatusCode != 200 || !hasSamples(text, `swapinit_gate_members{state="holder"} 1`, `swapinit_gate_members_share_ratio{state="holder"} 1.0000`, "swapinit_gate_connected_members 1") {
		t.Errorf("%s: %s", answer.Status, text)
	}
	if r := g.Verb("metrics"); r.Code != 0 || families(r.Stdout) != families(text) {
		t.Errorf("%v", r)
	}
}

func TestMetricsCannotBeOpened(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"udp://127.0.0.1:9180", ":9180?fd=0", ":9180,:9181", "9180", "127.0.0.1:0", "/no/such/folder/metrics.sock", "192.0.2.1:9180", "tcp://" + web} {
		c := start(t, opts{Env: []string{"SWAPINIT_LISTEN=tcp://" + web, "SWAPINIT_METRICS=" + address}, Args: []string{"echo", "started"}, Early: true})
		c.wantStatus(125)
		oneLine(t, c.Stderr(), "swapinit: ", "SWAPINIT_METRICS")
		c.wantNever("started")
	}
}
