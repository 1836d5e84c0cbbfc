package ready

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
)

func words(s string) ([]string, error) { return strings.Fields(s), nil }

// What comes out of a value: what it accepts of the worker itself, where a probe connects to.
func TestParse(t *testing.T) {
	all := OnPipe | OnSocket | OnChannel
	for _, c := range []struct {
		in      string
		accepts Notice
		addr    string
	}{
		{"", all, ""},
		{"auto", all, ""},
		{"fd", OnPipe, ""},
		{"notify", OnSocket, ""},
		{"listen", 0, ""},
		{"none", 0, ""},
		{"delay:5s", 0, ""},
		{"delay:0", 0, ""},
		{"exec:/app/check --port 80", 0, ""},
		{"tcp://127.0.0.1:9000", 0, "127.0.0.1:9000"},
		{"tcp://:9000", 0, "127.0.0.1:9000"},
		{"tcp://localhost:9000", 0, "127.0.0.1:9000"},
		{"tcp://0.0.0.0:9000", 0, "127.0.0.1:9000"},
		{"tcp://[::]:9000", 0, "[::1]:9000"},
		{"tcp://[::ffff:10.0.0.1]:9000", 0, "10.0.0.1:9000"},
		{"tcp://[2001:db8::1]:65535", 0, "[2001:db8::1]:65535"},
		{"http://localhost", 0, "127.0.0.1:80"},
		{"http://:9000/health?full=1", 0, "127.0.0.1:9000"},
	} {
		m, err := Parse(c.in, words)
		if err != nil || m.Text != c.in || m.Accepts != c.accepts || m.Addr.IsValid() != (c.addr != "") || c.addr != "" && m.Addr.String() != c.addr {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", c.in, m, err, c)
		}
		if asks := m.Probe != nil; asks != (c.accepts == 0 && c.in != "none") {
			t.Errorf("%q asks: %v", c.in, asks)
		}
		if (m.Hint != "") != (c.accepts != 0) || m.Aims != (strings.HasPrefix(c.in, "http:") || strings.HasPrefix(c.in, "tcp:")) {
			t.Errorf("%q: %+v", c.in, *m.Source)
		}
	}
}

func TestParseURL(t *testing.T) {
	for _, c := range []struct{ in, addr, host, path string }{
		{"localhost", "127.0.0.1:80", "localhost", "/"},
		{":9000/health?full=1", "127.0.0.1:9000", "127.0.0.1:9000", "/health?full=1"},
		{"[::1]/a:b", "[::1]:80", "[::1]", "/a:b"},
		{"[::1]:81/", "[::1]:81", "[::1]:81", "/"},
	} {
		addr, host, path, err := parseURL(c.in)
		if err != nil || addr.String() != c.addr || host != c.host || path != c.path {
			t.Errorf("%q: %v, %q, %q, %v; want %+v", c.in, addr, host, path, err, c)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Auto", "there is no such source"},
		{"sleep:5s", "there is no such source"},
		{"fd:3", "there is no such source"},
		{"http:/x", "there is no such source"},
		{"127.0.0.1:8080/healthz", "did you mean http://127.0.0.1:8080/healthz?"},
		{"localhost:8080/", "did you mean http://localhost:8080/?"},
		{":8080", "did you mean tcp://:8080 or http://:8080/?"},
		{"[::1]:8080", "did you mean tcp://[::1]:8080 or http://[::1]:8080/?"},
		{"127.0.0.1", "there is no such source"},
		{"127.0.0.1/x", "there is no such source"},
		{"web:8080/x", "there is no such source"},
		{"127.0.0.1:8080/a\nb", "there is no such source"},
		{"delay:", "delay:5s"},
		{"delay:5", "delay:5s"},
		{"delay:-5s", "delay:5s"},
		{"exec:", "needs a command"},
		{"exec:  ", "needs a command"},
		{"tcp://", "port is missing"},
		{"tcp://127.0.0.1", "port is missing"},
		{"tcp://127.0.0.1:", "1 to 65535"},
		{"tcp://127.0.0.1:0", "1 to 65535"},
		{"tcp://127.0.0.1:65536", "1 to 65535"},
		{"tcp://127.0.0.1:http", "1 to 65535"},
		{"tcp://127.0.0.1:+80", "1 to 65535"},
		{"tcp://127.0.0.1:80/x", "1 to 65535"},
		{"tcp://web:80", "names are not resolved"},
		{"tcp://::1:80", "brackets"},
		{"tcp://[127.0.0.1]:80", "brackets"},
		{"tcp://[]:80", "names are not resolved"},
		{"tcp://[fe80::1%eth0]:80", "zone"},
		{"http://user@localhost/", "names are not resolved"},
		{"http://localhost?x", "must begin with /"},
		{"http://localhost/a b", "percent-encode"},
		{"http://localhost/a\r\nX: y", "percent-encode"},
		{"http://localhost/é", "percent-encode"},
		{"http://localhost/#top", "percent-encode"},
		{"https://localhost/", "does not speak TLS"},
	} {
		_, err := Parse(c.in, words)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "cannot use") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse(%q): error %v, want one line with %q", c.in, err, c.want)
		}
	}
}

func TestParseWords(t *testing.T) {
	failure := errors.New("no closing quote")
	var asked string
	words := func(s string) ([]string, error) {
		asked = s
		if s == "'" {
			return nil, failure
		}
		return []string{"one", "two words"}, nil
	}
	m, err := Parse("exec:one 'two words'", words)
	w := &fakeWorker{}
	if err != nil || asked != "one 'two words'" || m.Probe(w, t.Context().Done()) != nil || !slices.Equal(w.ran, []string{"one", "two words"}) {
		t.Errorf("%v; asked for %q, ran %q", err, asked, w.ran)
	}
	if _, err = Parse("exec:'", words); !errors.Is(err, failure) {
		t.Errorf("error %v does not wrap the splitter's", err)
	}
}

func TestModeOn(t *testing.T) {
	for _, c := range []struct {
		mode, endpoint string
		want           bool
	}{
		{"tcp://127.0.0.1:80", "127.0.0.1:80", true},
		{"tcp://localhost:80", "0.0.0.0:80", true},
		{"tcp://localhost:80", "[::]:80", true},
		{"tcp://10.0.0.1:80", "[::]:80", true},
		{"tcp://[::1]:80", "[::]:80", true},
		{"tcp://[::1]:80", "[::1]:80", true},
		{"http://[::ffff:127.0.0.1]:80/", "127.0.0.1:80", true},
		{"http://localhost/", "[::ffff:127.0.0.1]:80", true},
		{"tcp://[::1]:80", "0.0.0.0:80", false},
		{"tcp://localhost:80", "0.0.0.0:81", false},
		{"tcp://localhost:80", "127.0.0.2:80", false},
		{"tcp://localhost:80", "[::1]:80", false},
		{"auto", "0.0.0.0:0", false},
	} {
		m, err := Parse(c.mode, words)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.On(netip.MustParseAddrPort(c.endpoint)); got != c.want {
			t.Errorf("%s on %s = %v", c.mode, c.endpoint, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"auto", "delay:5s", "exec:a b", "tcp://[::1]:80", "http://:1/x", "https://x", "tcp://a:", "http://[::]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Parse(s, words)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") || len(err.Error()) > 1000 {
				t.Errorf("Parse(%q): unprintable error %q", s, err)
			}
			return
		}
		if m.Text != s {
			t.Errorf("text %q of %q", m.Text, s)
		}
		if addr := m.Addr; addr.IsValid() && (addr.Port() == 0 || addr.Addr().IsUnspecified() || addr.Addr().Is4In6()) {
			t.Errorf("Parse(%q): address %v", s, addr)
		}
		if rest, ok := strings.CutPrefix(s, "http://"); ok {
			if _, host, path, _ := parseURL(rest); path[0] != '/' || host == "" || strings.ContainsAny(path+host, " \r\n") {
				t.Errorf("Parse(%q): host %q path %q", s, host, path)
			}
		}
	})
}
