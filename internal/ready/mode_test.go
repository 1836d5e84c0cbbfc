package ready

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		in   string
		want Mode
	}{
		{"", Mode{Kind: KindAuto}},
		{"auto", Mode{Kind: KindAuto}},
		{"fd", Mode{Kind: KindFD}},
		{"notify", Mode{Kind: KindNotify}},
		{"listen", Mode{Kind: KindListen}},
		{"none", Mode{Kind: KindNone}},
		{"delay:5s", Mode{Kind: KindDelay, Delay: 5 * time.Second}},
		{"delay:1m30s", Mode{Kind: KindDelay, Delay: 90 * time.Second}},
		{"delay:0", Mode{Kind: KindDelay}},
		{"exec:/app/check --port 80", Mode{Kind: KindExec, Command: []string{"/app/check", "--port", "80"}}},
		{"tcp://127.0.0.1:9000", Mode{Kind: KindTCP, Addr: at("127.0.0.1:9000")}},
		{"tcp://:9000", Mode{Kind: KindTCP, Addr: at("127.0.0.1:9000")}},
		{"tcp://localhost:9000", Mode{Kind: KindTCP, Addr: at("127.0.0.1:9000")}},
		{"tcp://0.0.0.0:9000", Mode{Kind: KindTCP, Addr: at("127.0.0.1:9000")}},
		{"tcp://[::]:9000", Mode{Kind: KindTCP, Addr: at("[::1]:9000")}},
		{"tcp://[::ffff:10.0.0.1]:9000", Mode{Kind: KindTCP, Addr: at("10.0.0.1:9000")}},
		{"tcp://[2001:db8::1]:65535", Mode{Kind: KindTCP, Addr: at("[2001:db8::1]:65535")}},
		{"http://localhost", Mode{Kind: KindHTTP, Addr: at("127.0.0.1:80"), Host: "localhost", Path: "/"}},
		{"http://:9000/health?full=1", Mode{Kind: KindHTTP, Addr: at("127.0.0.1:9000"), Host: "127.0.0.1:9000", Path: "/health?full=1"}},
		{"http://[::1]/a:b", Mode{Kind: KindHTTP, Addr: at("[::1]:80"), Host: "[::1]", Path: "/a:b"}},
		{"http://[::1]:81/", Mode{Kind: KindHTTP, Addr: at("[::1]:81"), Host: "[::1]:81", Path: "/"}},
	} {
		c.want.Text = c.in
		got, err := Parse(c.in, nil)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", c.in, got, err, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Auto", "accepted are auto, fd, notify"},
		{"sleep:5s", "http://host[:port]/path"},
		{"fd:3", "accepted are"},
		{"http:/x", "accepted are"},
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
		_, err := Parse(c.in, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cannot use readiness ") || strings.Contains(err.Error(), "\n") {
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
	if err != nil || asked != "one 'two words'" || !slices.Equal(m.Command, []string{"one", "two words"}) {
		t.Errorf("got %+v, %v; asked for %q", m, err, asked)
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
		m, err := Parse(c.mode, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.On(netip.MustParseAddrPort(c.endpoint)); got != c.want {
			t.Errorf("%s on %s = %v", c.mode, c.endpoint, got)
		}
	}
	if addr, ok := (Mode{}).Address(); ok || addr.IsValid() {
		t.Errorf("auto has an address: %v", addr)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"auto", "delay:5s", "exec:a b", "tcp://[::1]:80", "http://:1/x", "https://x", "tcp://a:", "http://[::]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Parse(s, nil)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") || len(err.Error()) > 1000 {
				t.Errorf("Parse(%q): unprintable error %q", s, err)
			}
			return
		}
		if m.Text != s {
			t.Errorf("text %q of %q", m.Text, s)
		}
		if addr, ok := m.Address(); ok && (!addr.IsValid() || addr.Port() == 0 || addr.Addr().IsUnspecified() || addr.Addr().Is4In6()) {
			t.Errorf("Parse(%q): address %v", s, addr)
		}
		if m.Kind == KindHTTP && (m.Path[0] != '/' || m.Host == "" || strings.ContainsAny(m.Path+m.Host, " \r\n")) {
			t.Errorf("Parse(%q): host %q path %q", s, m.Host, m.Path)
		}
		if m.Kind == KindExec && len(m.Command) == 0 || m.Delay < 0 {
			t.Errorf("Parse(%q) = %+v", s, m)
		}
	})
}
