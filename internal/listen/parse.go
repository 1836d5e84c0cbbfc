package listen

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
)

// maxName is systemd's limit for one name in LISTEN_FDNAMES.
const maxName = 255

var networks = []string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix"}

const acceptedForms = "accepted: [name=]tcp://host:port (tcp4, tcp6, udp, udp4, udp6), :port, [name=]unix:///path"

// parse fills in what the item in s.Text says.
func (s *Spec) parse() error {
	rest := s.Text
	// A name ends at the first =, but the = of an option comes later than
	// the : or / that every address has.
	if i := strings.IndexAny(rest, "=:/?["); i >= 0 && rest[i] == '=' {
		s.Name, rest = rest[:i], rest[i+1:]
		if err := checkName(s.Name); err != nil {
			return err
		}
	}
	rest, options, hasOptions := strings.Cut(rest, "?")
	network, address, hasScheme := strings.Cut(rest, "://")
	if path, ok := strings.CutPrefix(rest, "unix:"); ok && !hasScheme {
		network, address = "unix", path // as nginx and gunicorn write it
	} else if !hasScheme {
		network, address = "tcp", rest
	}
	s.Network = network

	var err error
	switch {
	case !slices.Contains(networks, network):
		err = bad("unknown network ", network, meant(network, networks)+", "+acceptedForms)
	case network == "unix":
		err = s.parsePath(address)
	case strings.HasPrefix(rest, "/"):
		err = errors.New("a path needs its network: unix://" + rest)
	default:
		err = s.parseHostPort(address)
	}
	if s.isStream() {
		s.Backlog = DefaultBacklog
	}
	if err == nil && hasOptions {
		err = s.parseOptions(options)
	}
	return err
}

// checkName holds a name to the rules of LISTEN_FDNAMES (sd_listen_fds(3)),
// and to what can stand in {fd.NAME}.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("its name is empty")
	case len(name) > maxName:
		return errors.New("its name has " + strconv.Itoa(len(name)) + " bytes, accepted are 255")
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == ':' || c == '{' || c == '}' {
			return bad("", name[i:i+1], " cannot be in a name, accepted is printable ASCII without : { }: put a name in front, as in web=...")
		}
	}
	return nil
}

func (s *Spec) parsePath(path string) error {
	switch {
	case path == "" || path[0] != '/':
		// An abstract name has no mode, and a relative path depends on a
		// working directory that changes with every generation.
		return bad("path ", path, " is not absolute, accepted: unix:///path")
	case len(path) > unixname.MaxPath:
		return errors.New("its path has " + strconv.Itoa(len(path)) + " bytes, the kernel accepts 107: use a shorter one")
	}
	for i := range len(path) {
		// ; and = would break SERVER_STARTER_PORT, which cannot quote.
		if c := path[i]; c < ' ' || c == 0x7f || c == ';' || c == '=' {
			return bad("", path[i:i+1], " cannot be in a socket's path: rename it")
		}
	}
	base := lastPart(path)
	if base == "" || base == "." || base == ".." {
		return bad("path ", path, " is a directory, accepted: unix:///directory/name")
	}
	s.Path, s.Mode = path, DefaultMode
	if s.Name != "" {
		return nil
	}
	s.Name = base
	return checkName(base)
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func (s *Spec) parseHostPort(text string) error {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 || strings.HasSuffix(text, "]") {
		if _, err := strconv.Atoi(text); err == nil {
			return errors.New("a port needs a colon: :" + text)
		}
		return bad("", text, " has no port, "+acceptedForms)
	}
	host, portText := text[:colon], text[colon+1:]
	port, err := strconv.ParseUint(portText, 10, 16)
	switch {
	case err != nil:
		return bad("port ", portText, ", accepted is a number up to 65535")
	case port == 0:
		return errors.New("port 0 would be a random one that nobody knows, accepted are 1 to 65535")
	}
	addr, err := parseHost(s.Network, host)
	if err != nil {
		return err
	}
	s.Addr = netip.AddrPortFrom(addr, uint16(port))
	if s.Name == "" {
		s.Name = strconv.FormatUint(port, 10)
	}
	return nil
}

func parseHost(network, host string) (netip.Addr, error) {
	only4, only6 := network[3:] == "4", network[3:] == "6"
	bare, bracketed := strings.CutPrefix(host, "[")
	closed := true
	if bracketed {
		bare, closed = strings.CutSuffix(bare, "]")
	}
	switch {
	case host != "" && host != "*" && host != "localhost":
	case host == "localhost" && only6:
		bare = "::1"
	case host == "localhost":
		bare = "127.0.0.1"
	case only4:
		bare = "0.0.0.0"
	default:
		bare = "::"
	}
	addr, err := netip.ParseAddr(bare)
	problem := ""
	switch {
	case !closed:
		problem = " has no closing bracket"
	case err == netip.ErrZone:
		problem = " has a zone, which is not accepted: use [::] and a firewall, or an address without one"
	case err != nil:
		problem = " is no IP address and swapinit resolves no names, accepted: an address, localhost, * or nothing"
	case addr.Is4In6():
		problem = " is an IPv4 address in IPv6 form: write " + addr.Unmap().String()
	case addr.Is6() && !bracketed && bare == host:
		problem = " needs brackets: [" + bare + "]"
	case addr.Is4() && bracketed:
		problem = " is IPv4 and has no brackets: " + bare
	case addr.Is4() && only6:
		problem = " is IPv4, " + network + " accepts IPv6"
	case addr.Is6() && only4:
		problem = " is IPv6, " + network + " accepts IPv4"
	default:
		return addr, nil
	}
	return addr, bad("host ", host, problem)
}

func (s *Spec) parseOptions(text string) error {
	accepted := []string{"fd", "backlog", "mode"}
	switch {
	case !s.isStream():
		accepted = accepted[:1]
	case s.IsTCP():
		accepted = accepted[:2]
	}
	var seen []string
	for _, option := range strings.Split(text, "&") {
		key, value, _ := strings.Cut(option, "=")
		switch {
		case !slices.Contains(accepted, key):
			return bad("unknown option ", key, meant(key, accepted)+", accepted with "+s.Network+": "+strings.Join(accepted, ", "))
		case slices.Contains(seen, key):
			return bad("option ", key, " is there twice")
		}
		seen = append(seen, key)
		wanted := ""
		switch key {
		case "fd":
			s.Stdin = true
			if value != "0" {
				wanted = "is fd=0: the others are numbered from 3 in their order"
			}
		case "backlog":
			n, err := strconv.ParseUint(value, 10, 31)
			if s.Backlog = int(n); err != nil || n == 0 {
				wanted = "is a number from 1"
			}
		case "mode":
			mode, err := strconv.ParseUint(value, 8, 32)
			s.Mode = os.FileMode(mode)
			if err != nil || mode == 0 || mode > 0o777 {
				wanted = "are octal permissions such as 0660"
			}
		}
		if wanted != "" {
			return errors.New(option + ", accepted " + wanted)
		}
	}
	return nil
}

// bad is an error about a value.
func bad(before, value, after string) error {
	return errors.New(before + strconv.Quote(value) + after)
}

// meant proposes what word was most likely meant to be, as the rest of a sentence.
func meant(word string, known []string) string {
	if best, near := text.Nearest(word, known); near {
		return " (did you mean " + best + "?)"
	}
	return ""
}
