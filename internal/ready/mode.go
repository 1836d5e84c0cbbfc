package ready

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/swapinit/swapinit/internal/text"
)

// Kind is the source of readiness that a Mode asks for.
type Kind uint8

// The kinds, in the order in which the setting's errors list them.
const (
	KindAuto   Kind = iota // the pipe or the notification socket, whichever speaks first
	KindFD                 // a line on the readiness pipe
	KindNotify             // READY=1 on the notification socket
	KindListen             // the generation has a listening socket of its own
	KindNone               // nothing is waited for
	KindDelay              // it lived for Mode.Delay
	KindExec               // Mode.Command exits 0
	KindTCP                // Mode.Addr accepts a connection
	KindHTTP               // Mode.Addr answers GET Mode.Path with 2xx
)

// Accepted lists every form of the setting, for error messages and help.
const Accepted = "auto, fd, notify, listen, none, delay:DURATION, exec:COMMAND, tcp://host:port, http://host[:port]/path"

// Mode is the parsed SWAPINIT_READY. The zero Mode is auto.
type Mode struct {
	Kind    Kind
	Delay   time.Duration  // KindDelay: how long it must have lived
	Command []string       // KindExec: at least one word
	Addr    netip.AddrPort // KindTCP, KindHTTP: where to connect
	Host    string         // KindHTTP: the value of the Host header
	Path    string         // KindHTTP: the request target, begins with /
	Text    string         // as configured
}

// Address returns the address that a tcp:// or http:// probe connects to, and
// false for every other kind.
func (m Mode) Address() (netip.AddrPort, bool) {
	return m.Addr, m.Kind == KindTCP || m.Kind == KindHTTP
}

// On reports whether the probe would connect to a listener bound to endpoint,
// so that its success would say nothing about the generation. A listener on
// [::] is taken to be dual-stack.
func (m Mode) On(endpoint netip.AddrPort) bool {
	addr, ok := m.Address()
	if !ok || addr.Port() != endpoint.Port() {
		return false
	}
	bound := endpoint.Addr().Unmap()
	if bound.IsUnspecified() {
		return bound.Is6() || addr.Addr().Is4()
	}
	return bound == addr.Addr()
}

// Parse reads the value of SWAPINIT_READY; an empty one is auto. words splits
// the command of exec: into arguments. The errors are one line and say what is
// accepted.
func Parse(s string, words func(string) ([]string, error)) (Mode, error) {
	m := Mode{Text: s}
	scheme, rest, _ := strings.Cut(s, ":")
	var err error
	switch {
	case s == "" || s == "auto":
	case s == "fd":
		m.Kind = KindFD
	case s == "notify":
		m.Kind = KindNotify
	case s == "listen":
		m.Kind = KindListen
	case s == "none":
		m.Kind = KindNone
	case scheme == "delay":
		m.Kind = KindDelay
		if m.Delay, err = time.ParseDuration(rest); err != nil || m.Delay < 0 {
			err = errors.New("delay: needs a duration such as delay:5s or delay:1m30s")
		}
	case scheme == "exec":
		m.Kind = KindExec
		m.Command, err = parseCommand(rest, words)
	case strings.HasPrefix(s, "tcp://"):
		m.Kind = KindTCP
		m.Addr, err = parseHost(rest[2:], 0)
	case strings.HasPrefix(s, "http://"):
		m.Kind = KindHTTP
		err = m.parseHTTP(rest[2:])
	case scheme == "https":
		err = errors.New("a probe does not speak TLS, use http:// on a plain port, tcp:// or exec:")
	default:
		err = errors.New("accepted are " + Accepted)
	}
	if err != nil {
		err = fmt.Errorf("cannot use readiness %s: %w", quote(s), err)
	}
	return m, err
}

func parseCommand(s string, words func(string) ([]string, error)) ([]string, error) {
	if words == nil {
		words = func(s string) ([]string, error) { return strings.Fields(s), nil }
	}
	command, err := words(s)
	if err != nil {
		return nil, err
	}
	if len(command) == 0 || command[0] == "" {
		return nil, errors.New("exec: needs a command such as exec:/app/check --local")
	}
	return command, nil
}

func (m *Mode) parseHTTP(s string) error {
	authority, path := s, "/"
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		authority, path = s[:i], s[i:]
	}
	if authority == "" {
		return errors.New("the address is missing, write http://host:port/path")
	}
	addr, err := parseHost(authority, 80)
	if err != nil {
		return err
	}
	if path[0] != '/' {
		return errors.New("the path must begin with /, as in http://localhost:9000/health")
	}
	for _, c := range []byte(path) {
		// The path goes into the request line as it is, so nothing may end
		// that line or split it. A fragment is never sent.
		if c <= ' ' || c >= 0x7f || c == '#' {
			return errors.New("the path may hold printable ASCII only, without blanks and #; percent-encode the rest")
		}
	}
	m.Addr, m.Path = addr, path
	m.Host = authority
	if authority[0] == ':' {
		m.Host = "127.0.0.1" + authority
	}
	return nil
}

// parseHost reads host:port. There is no resolver in swapinit, and a probe
// must not depend on one.
func parseHost(s string, port uint64) (none netip.AddrPort, err error) {
	host := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && i > strings.LastIndexByte(s, ']') {
		host = s[:i]
		if port, err = strconv.ParseUint(s[i+1:], 10, 16); err != nil || port == 0 {
			return none, errors.New("port " + quote(s[i+1:]) + " is not a number from 1 to 65535")
		}
	}
	if port == 0 {
		return none, errors.New("the port is missing, write tcp://host:port")
	}
	bare, bracketed := host, false
	if host == "" || host == "localhost" {
		bare = "127.0.0.1"
	} else if host[0] == '[' && len(host) > 2 && host[len(host)-1] == ']' {
		bare, bracketed = host[1:len(host)-1], true
	}
	ip, err := netip.ParseAddr(bare)
	problem := ""
	switch {
	case err != nil:
		problem = " is not an address: names are not resolved, use an IP address, localhost or nothing (127.0.0.1)"
	case ip.Zone() != "":
		problem = " has a zone, use a global or loopback address"
	case bracketed != ip.Is6():
		problem = ": brackets belong around an IPv6 address, as in [::1]:80, and only there"
	}
	if problem != "" {
		return none, errors.New("host " + quote(host) + problem)
	}
	ip = ip.Unmap()
	// Connecting to the wildcard reaches the loopback address.
	switch ip {
	case netip.IPv4Unspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified():
		ip = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}

// quote makes untrusted text fit for one line of a message.
func quote(s string) string {
	return text.Quote(s, 100)
}
