package listen

import (
	"os"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/netip"
)

// DefaultBacklog is the accept queue's length where nothing else is asked
// for. The kernel cuts it down to net.core.somaxconn. A full queue drops
// SYNs, which clients feel as a second of delay, so it is generous.
const DefaultBacklog = 4096

// DefaultMode is what a unix endpoint gets without mode=: whoever reaches its
// directory may connect, as with the sockets of systemd and nginx, whatever the
// umask is.
const DefaultMode os.FileMode = 0o666

// Spec is one endpoint as configured.
type Spec struct {
	Name    string         // unique; LISTEN_FDNAMES and {fd.NAME}
	Network string         // tcp tcp4 tcp6 udp udp4 udp6 unix
	Addr    netip.AddrPort // tcp and udp; [::] with tcp or udp means both families
	Path    string         // unix: absolute
	Mode    os.FileMode    // unix: permission bits, by default DefaultMode
	Backlog int            // stream sockets; the kernel caps it at net.core.somaxconn
	Stdin   bool           // the child gets it as fd 0, outside LISTEN_FDS
	Text    string         // the item as configured
	Replace bool           // unix: who listens at the path has it from a former life of ours
}

// Parse reads SWAPINIT_LISTEN: items separated by commas or white space, each
//
//	[name=]tcp://host:port   also tcp4, tcp6, udp, udp4, udp6
//	[name=]host:port         short for tcp://host:port, so :8080 is tcp://:8080
//	[name=]unix:///path      or unix:/path
//
// followed by ?backlog=N (stream), fd=0, mode=0660 (unix), joined by &.
// The host is an IP address (IPv6 in brackets), localhost, or * or nothing for
// all addresses, which with tcp:// and udp:// means IPv6 and IPv4 on one socket. Two endpoints may
// share neither a name nor an address. Errors are one line, and name what is accepted, and the
// item where there are several.
func Parse(list string) ([]Spec, error) {
	var specs []Spec
	for _, item := range strings.FieldsFunc(list, isSeparator) {
		spec := Spec{Text: item}
		err := spec.parse()
		for i := 0; i < len(specs) && err == nil; i++ {
			err = clash(&specs[i], &spec)
		}
		switch {
		case err == nil:
		case item == list: // whoever asks names it
			return nil, err
		default:
			return nil, bad("cannot use endpoint ", item, ": "+err.Error())
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

func isSeparator(r rune) bool {
	return r == ',' || r == ' ' || r >= '\t' && r <= '\r'
}

// clash says why two endpoints cannot stand side by side, or nothing.
func clash(a, b *Spec) error {
	switch {
	case overlap(a, b):
		return bad("its address is also that of ", a.Text, "")
	case a.Name == b.Name:
		return bad("its name "+strconv.Quote(b.Name)+" is also that of ", a.Text,
			": put another one in front, as in other="+strings.TrimPrefix(b.Text, b.Name+"="))
	case a.Stdin && b.Stdin:
		return bad("fd=0 is already ", a.Text, "")
	}
	return nil
}

// overlap tells whether the kernel would refuse the second of two binds. It
// is asked here so that the message can name both, and because two TCP
// sockets with SO_REUSEADDR clash only at the listen, long after the bind.
func overlap(a, b *Spec) bool {
	if a.Network == "unix" || b.Network == "unix" {
		return a.Path == b.Path && a.Network == b.Network
	}
	if a.IsTCP() != b.IsTCP() || a.Addr.Port() != b.Addr.Port() {
		return false
	}
	return a.Addr.Addr() == b.Addr.Addr() || a.covers(b) || b.covers(a)
}

// covers: s is a wildcard, and b's address lies within it.
func (s *Spec) covers(b *Spec) bool {
	return s.dualStack() || s.Addr.Addr().IsUnspecified() && s.Addr.Addr().Is4() == b.Addr.Addr().Is4()
}

// dualStack: one IPv6 socket takes IPv4 connections too.
func (s *Spec) dualStack() bool {
	return (s.Network == "tcp" || s.Network == "udp") && s.Addr.Addr() == netip.IPv6Unspecified()
}

func (s *Spec) isStream() bool { return s.IsTCP() || s.Network == "unix" }

// IsTCP: tcp, tcp4 or tcp6.
func (s *Spec) IsTCP() bool { return strings.HasPrefix(s.Network, "tcp") }

// address is the endpoint as status shows it.
func (s *Spec) address() string {
	if s.Addr.IsValid() {
		return s.Network + "://" + s.Addr.String()
	}
	return s.Network + "://" + s.Path
}
