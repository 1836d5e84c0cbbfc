package listen

import (
	"strings"
	"testing"

	"github.com/swapinit/swapinit/internal/netip"
)

func TestParse(t *testing.T) {
	long := "/" + strings.Repeat("d", 106)
	for _, test := range []struct {
		in   string
		want Spec
	}{
		{":8080", Spec{Name: "8080", Network: "tcp", Addr: netip.MustParseAddrPort("[::]:8080"), Backlog: 4096}},
		{"*:8080", Spec{Name: "8080", Network: "tcp", Addr: netip.MustParseAddrPort("[::]:8080"), Backlog: 4096}},
		{"127.0.0.1:8080", Spec{Name: "8080", Network: "tcp", Addr: netip.MustParseAddrPort("127.0.0.1:8080"), Backlog: 4096}},
		{"[::1]:80", Spec{Name: "80", Network: "tcp", Addr: netip.MustParseAddrPort("[::1]:80"), Backlog: 4096}},
		{"web=:80?fd=0", Spec{Name: "web", Network: "tcp", Addr: netip.MustParseAddrPort("[::]:80"), Backlog: 4096, Stdin: true}},
		{"tcp://:65535", Spec{Name: "65535", Network: "tcp", Addr: netip.MustParseAddrPort("[::]:65535"), Backlog: 4096}},
		{"tcp://localhost:1", Spec{Name: "1", Network: "tcp", Addr: netip.MustParseAddrPort("127.0.0.1:1"), Backlog: 4096}},
		{"tcp6://localhost:1", Spec{Name: "1", Network: "tcp6", Addr: netip.MustParseAddrPort("[::1]:1"), Backlog: 4096}},
		{"tcp4://*:1", Spec{Name: "1", Network: "tcp4", Addr: netip.MustParseAddrPort("0.0.0.0:1"), Backlog: 4096}},
		{"a.b-c_d=tcp4://10.0.0.1:99?backlog=7&fd=0", Spec{Name: "a.b-c_d", Network: "tcp4", Addr: netip.MustParseAddrPort("10.0.0.1:99"), Backlog: 7, Stdin: true}},
		{"udp://:53", Spec{Name: "53", Network: "udp", Addr: netip.MustParseAddrPort("[::]:53")}},
		{"udp4://:53", Spec{Name: "53", Network: "udp4", Addr: netip.MustParseAddrPort("0.0.0.0:53")}},
		{"udp6://[2001:db8::1]:53", Spec{Name: "53", Network: "udp6", Addr: netip.MustParseAddrPort("[2001:db8::1]:53")}},
		{"unix:///run/a.sock", Spec{Name: "a.sock", Network: "unix", Mode: DefaultMode, Path: "/run/a.sock", Backlog: 4096}},
		{"unix:/run/a.sock", Spec{Name: "a.sock", Network: "unix", Mode: DefaultMode, Path: "/run/a.sock", Backlog: 4096}},
		{"x=unix:/a?backlog=1", Spec{Name: "x", Network: "unix", Mode: DefaultMode, Path: "/a", Backlog: 1}},
		{"x=unix:///run/a:b?mode=0660&backlog=1", Spec{Name: "x", Network: "unix", Path: "/run/a:b", Backlog: 1, Mode: 0o660}},
		{"unix://" + long, Spec{Name: long[1:], Network: "unix", Mode: DefaultMode, Path: long, Backlog: 4096}},
	} {
		got, err := Parse(test.in)
		test.want.Text = test.in
		if err != nil || len(got) != 1 || got[0] != test.want {
			t.Errorf("Parse(%q) = %+v, %v\nwant %+v", test.in, got, err, test.want)
		}
	}
}

func TestParseList(t *testing.T) {
	specs, err := Parse(" :80,\ttcp4://:81\n, unix:///a\r\n")
	if err != nil || len(specs) != 3 || specs[2].Path != "/a" {
		t.Errorf("%+v, %v", specs, err)
	}
	if specs, err := Parse(" ,\n"); err != nil || len(specs) != 0 {
		t.Errorf("empty list: %+v, %v", specs, err)
	}
	// IPv6 only and IPv4 only share a port, as do tcp and udp.
	if _, err := Parse("tcp4://:80 six=tcp6://:80 dns=udp://:80"); err != nil {
		t.Error(err)
	}
}

// Each error names the item, and says this.
func TestParseRefuses(t *testing.T) {
	for in, says := range map[string]string{
		"8080":                                "a port needs a colon: :8080",
		"web":                                 "has no port",
		":http":                               "accepted is a number up to 65535",
		":0":                                  "port 0 would be a random one",
		":65536":                              "number up to 65535",
		":+80":                                "number up to 65535",
		":":                                   "number up to 65535",
		":80/":                                "number up to 65535",
		"tpc4://:80":                          "did you mean tcp4?",
		"http://:80":                          `unknown network "http"`,
		"://:80":                              `unknown network ""`,
		"example.org:80":                      "resolves no names",
		"tcp://[fe80::1%eth0]:80":             "zone",
		"tcp://::1:80":                        "needs brackets: [::1]",
		"tcp://[::1:80":                       "no closing bracket",
		"tcp://[127.0.0.1]:80":                "IPv4 and has no brackets",
		"tcp://[::ffff:127.0.0.1]:80":         "write 127.0.0.1",
		"tcp4://[::1]:80":                     "tcp4 accepts IPv4",
		"tcp6://127.0.0.1:80":                 "tcp6 accepts IPv6",
		"[::1]":                               "has no port",
		"/run/a.sock":                         "a path needs its network: unix:///run/a.sock",
		"unix://a.sock":                       "not absolute",
		"unix://@a":                           "not absolute",
		"unix:a.sock":                         `path "a.sock" is not absolute, accepted: unix:///path`,
		"unix:":                               "not absolute",
		"unix:///":                            "is a directory",
		"unix:///run/":                        "is a directory",
		"unix:///run/..":                      "is a directory",
		"unix:///a;b":                         `";" cannot be in a socket's path`,
		"unix:///a\x01b":                      "cannot be in a socket's path",
		"unix:///run/a:b":                     `":" cannot be in a name`,
		"unix:///run/é":                       "put a name in front",
		"unix:///" + strings.Repeat("d", 107): "the kernel accepts 107",
		"=:80":                                "name is empty",
		"a{b=:80":                             "cannot be in a name",
		strings.Repeat("n", 256) + "=:80":     "256 bytes, accepted are 255",
		":80?":                                `unknown option ""`,
		":80?backlgo=1":                       "did you mean backlog?",
		":80?backlog=0":                       "a number from 1",
		":80?backlog=-1":                      "a number from 1",
		":80?fd=3":                            "accepted is fd=0",
		":80?fd=0&fd=0":                       "there twice",
		":80?mode=0660":                       "accepted with tcp: fd, backlog",
		"udp://:80?backlog=1":                 "accepted with udp: fd",
		"unix:///a?mode=0":                    "octal permissions",
		"unix:///a?mode=1777":                 "octal permissions",
		"unix:///a?mode=9":                    "octal permissions",
		":80,:80":                             "its address is also that of",
		":80,x=tcp4://127.0.0.1:80":           "its address is also that of",
		"udp4://1.2.3.4:5,x=udp://:5":         "its address is also that of",
		"unix:///a,x=unix:///a":               "its address is also that of",
		"unix:///a,x=unix:/a":                 "its address is also that of",
		":80,udp://:80":                       `its name "80" is also that of ":80": put another one in front, as in other=udp://:80`,
		":80?fd=0,:81?fd=0":                   "fd=0 is already",
	} {
		_, err := Parse(in)
		if err == nil {
			t.Errorf("Parse(%q) accepts", in)
			continue
		}
		items := strings.Split(in, ",")
		item := items[len(items)-1]
		text := err.Error()
		if !strings.Contains(text, says) || strings.ContainsAny(text, "\n") {
			t.Errorf("Parse(%q): %q\nshould say %q", in, text, says)
		}
		if strings.HasPrefix(text, "cannot use endpoint") != (item != in) { // else it is said twice
			t.Errorf("Parse(%q): %q", in, text)
		}
		if item != in && !strings.Contains(item, "\x01") && !strings.Contains(text, `"`+item+`"`) {
			t.Errorf("Parse(%q): %q does not name %q", in, text, item)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{":8080", "web=tcp4://127.0.0.1:80?backlog=9&fd=0", "udp://[::]:53,unix:///run/a?mode=0660", "a=b=c", "[", "?=:/", "tcp://%:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		specs, err := Parse(list)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			return
		}
		names := map[string]bool{}
		for _, spec := range specs {
			if names[spec.Name] || checkName(spec.Name) != nil {
				t.Errorf("name %q", spec.Name)
			}
			names[spec.Name] = true
			if spec.Network == "unix" {
				if spec.Path == "" || spec.Path[0] != '/' || len(spec.Path) > 107 {
					t.Errorf("path %q", spec.Path)
				}
			} else if !spec.Addr.IsValid() || spec.Addr.Port() == 0 || spec.Addr.Addr().Is4In6() {
				t.Errorf("address %v", spec.Addr)
			}
			again, err := Parse(spec.Text)
			if err != nil || len(again) != 1 || again[0] != spec {
				t.Errorf("%q read again: %+v, %v", spec.Text, again, err)
			}
		}
	})
}
